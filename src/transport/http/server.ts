/** The HTTP/1.1 server, with TLS where there is a certificate: limits, listening and an orderly end. */
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { KmsError, type KmsErrorCode } from "../../errors.ts";
import { maxHeaderBytes } from "../limits.ts";
import type { CallRecorder } from "../call-recorder.ts";

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
  recorder: CallRecorder;
}

export const limits = {
  maxHeaderSize: maxHeaderBytes,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  // The listener refuses a request without one, and says so in the log.
  requireHostHeader: false,
};
const pollMs = 50;

export function createHttpServer({ listener, tls, calls, recorder }: HttpServerParts): HttpServer {
  const server: Server = tls ? createTlsServer({ ...limits, ...tls }, listener) : createServer(limits, listener);
  server.on("clientError", (error, socket) => refuse(error, socket, recorder));
  // What else node:http would refuse by itself, or close without a word.
  server.on("checkExpectation", listener);
  server.on("connect", (_request, socket) => refuse(new Error("CONNECT"), socket, recorder));
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

interface Refusal {
  status: string;
  code: KmsErrorCode;
  message: string;
}

const malformed: Refusal = {
  status: "400 Bad Request",
  code: "INVALID_ARGUMENT",
  message: "what came is no HTTP/1.1 request that is served",
};

/** By the codes of errors of node:http. */
const refusals: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: {
    status: "431 Request Header Fields Too Large",
    code: "MESSAGE_TOO_LARGE",
    message: `the headers of a request are at most ${maxHeaderBytes} bytes`,
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: "408 Request Timeout",
    code: "DEADLINE_EXCEEDED",
    message: "the request did not arrive in time",
  },
};

/** What is no request is counted and logged too. Nothing can be said where an answer has begun, or the caller is gone. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex, recorder: CallRecorder): void {
  if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy(error);
  const { status, code, message } = refusals[error.code ?? ""] ?? malformed;
  recorder.refuse(undefined, new KmsError(code, message));
  const begun = (socket as { _httpMessage?: { headersSent: boolean } })._httpMessage?.headersSent;
  if (begun) return void socket.destroy(error);
  const body = `${JSON.stringify({ code, message, fields: [] })}\n`;
  const headers = [
    "connection: close",
    "content-type: application/json",
    "x-content-type-options: nosniff",
    `content-length: ${body.length}`,
  ];
  socket.end([`HTTP/1.1 ${status}`, ...headers, "", body].join("\r\n"));
}
