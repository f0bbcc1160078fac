/** Pages of a site over HTTPS, on an origin of their own. */
import { once } from "node:events";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { newAuthority } from "../support/pki.ts";

export interface PageServer {
  /** `https://localhost:port` */
  origin: string;
  stop(): Promise<void>;
}

export async function startPages(): Promise<PageServer> {
  const { chain, key } = newAuthority().issue({ dns: ["localhost"], extendedKeyUsage: ["serverAuth"] });
  const server = createServer({ cert: chain, key }, (_, response) => {
    response.setHeader("content-type", "text/html; charset=utf-8").end("<!doctype html><title>A page</title>");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      await once(server.close(), "close");
    },
  };
}
