/** Stands in for a trace backend: takes OTLP over HTTP, and keeps it. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

export interface Backend {
  url: string;
  /** Each export as it came. */
  exports(): readonly Uint8Array[];
  stop(): Promise<void>;
}

export async function startBackend(): Promise<Backend> {
  const exports: Uint8Array[] = [];
  const server = createServer(async (request, response) => {
    exports.push(await buffer(request));
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
    exports: () => exports,
    async stop() {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}
