/** An OTLP/HTTP endpoint that keeps what is exported to it, and what the OpenTelemetry SDK exports when a span is made. */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

export interface Export {
  path: string | undefined;
  headers: IncomingHttpHeaders;
  body: Uint8Array;
}

export interface Collector {
  /** What OTEL_EXPORTER_OTLP_ENDPOINT must say. */
  endpoint: string;
  exports: readonly Export[];
  /** Connections there have been, used or not. */
  connections(): number;
  /** Resolves once `holds` does, looked at after each export. */
  until(holds: (exports: readonly Export[]) => boolean): Promise<void>;
  close(): Promise<unknown>;
}

export async function startCollector(): Promise<Collector> {
  const exports: Export[] = [];
  const waiting = new Set<() => void>();
  let connections = 0;
  const server = createServer(async (request, response) => {
    const body = new Uint8Array(await buffer(request));
    exports.push({ path: request.url, headers: request.headers, body });
    // An empty ExportServiceResponse: everything was accepted.
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    for (const look of waiting) look();
  });
  server.on("connection", () => {
    connections += 1;
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    exports,
    connections: () => connections,
    until: (holds) =>
      new Promise((resolve) => {
        const look = () => {
          if (!holds(exports)) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    close() {
      server.closeAllConnections();
      return once(server.close(), "close");
    },
  };
}
