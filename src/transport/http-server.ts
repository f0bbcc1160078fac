/** The HTTP/1.1 server, with TLS where there is a certificate: limits, listening and an orderly end. */
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { maxHeaderBytes } from "./grpc.ts";

export interface HttpServer {
  /** Resolves with the port, which the system chooses for 0. */
  listen(host: string, port: number): Promise<number>;
  /** Takes no new connection and ends when calls are answered, at the latest after `graceMs`. */
  close(graceMs: number): Promise<void>;
}

export interface HttpServerParts {
  listener: RequestListener;
  /** PEM. */
  tls: { cert: Buffer; key: Buffer } | undefined;
  /** Calls that are running now. */
  calls(): number;
}

const limits = { maxHeaderSize: maxHeaderBytes, headersTimeout: 10_000, requestTimeout: 30_000 };
const pollMs = 50;

export function createHttpServer({ listener, tls, calls }: HttpServerParts): HttpServer {
  const server: Server = tls ? createTlsServer({ ...limits, ...tls }, listener) : createServer(limits, listener);
  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
      }),
    async close(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      const force = setTimeout(() => server.closeAllConnections(), graceMs);
      // close() ends idle connections; one that is kept alive and silent is idle once its answer is out.
      const idle = setInterval(() => calls() === 0 && server.closeIdleConnections(), pollMs);
      await closed;
      clearTimeout(force);
      clearInterval(idle);
    },
  };
}
