/** The HTTP/1.1 server, with TLS where there is a certificate: limits, listening and an orderly end. */
import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { KmsError, type KmsErrorCode } from "../../errors.ts";
import { maxHeaderBytes } from "../limits.ts";
import type { Time } from "../../runtime/time.ts";
import type { Door } from "../authenticate.ts";
import type { Budget } from "../budget.ts";
import type { Calls } from "../pipeline.ts";
import type { Tls } from "../tls.ts";
import { type Binding, type Listening, listening } from "../listening.ts";
import { createBodyBudget } from "../connections/body-budget.ts";
import { httpDoor } from "./door.ts";
import { httpListener, type ListenerParts } from "./listener.ts";

export interface HttpSettings extends Omit<ListenerParts, "door" | "bodies" | "connections">, Binding {
  /** Undefined where nobody is authenticated. */
  door: Door | undefined;
  /** Bytes of bodies that are not whole yet, of all connections; the default is for tests. */
  maxBodyBytes?: number;
}

export const limits = {
  maxHeaderSize: maxHeaderBytes,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  // How often it is looked whether they have passed; 30 s by itself.
  connectionsCheckingInterval: 1_000,
  // Node would end a connection 5 s after a response. `fluo.kms.connection.idle` alone does that.
  keepAliveTimeout: 0,
  // The listener refuses a request without one, and says so in the log.
  requireHostHeader: false,
};
const pollMs = 50;

/** Serves the calls by HTTP/1.1, with what else has a path. Rejects if the address cannot be bound; nothing is left open then. */
export async function listenHttp(calls: Calls, settings: HttpSettings): Promise<Listening> {
  const { time } = settings;
  const door = httpDoor(settings.door, time);
  const bodies = createBodyBudget(time.monotonicMs, settings.maxBodyBytes);
  const listener = httpListener(calls, { ...settings, door, bodies });
  const server = settings.tls ? tlsServer(settings.tls, settings, listener) : createServer(limits, listener);
  server.on("clientError", (error, socket) => {
    // Where nobody is authenticated, whoever sends anything is a caller.
    if (settings.door === undefined) settings.connections.of(socket as Socket)?.called();
    refuse(error, socket, calls);
  });
  // What else node:http would refuse by itself, or close without a word.
  server.on("checkExpectation", listener);
  // 100 is written for a caller who is known, by the listener.
  server.on("checkContinue", listener);
  server.on("secureConnection", (socket) => {
    if (door.isKnown(socket)) settings.connections.of(socket)?.called();
  });
  server.on("connect", (_request, socket) => refuse(new Error("CONNECT"), socket, calls));
  const port = await bind(server, settings);
  settings.connections.guard(server, "http");
  return listening(settings, port, (graceMs) => close({ server, budget: calls.budget, time }, graceMs));
}

function tlsServer(tls: Tls, { requestCert }: Binding, listener: RequestListener): Server {
  const connections = { requestCert, rejectUnauthorized: false, handshakeTimeout: limits.headersTimeout };
  const server = createTlsServer({ ...limits, ...connections, ...tls.options() }, listener);
  tls.subscribe((options) => server.setSecureContext(options));
  return server;
}

function bind(server: Server, { host, port }: Binding): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

interface Bound {
  server: Server;
  budget: Budget;
  time: Time;
}

async function close({ server, budget, time }: Bound, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const force = time.after(graceMs, () => server.closeAllConnections()).ref();
  // close() ends idle connections; one that is kept alive and silent is idle once its answer is out.
  const idle = time.every(pollMs, () => budget.calls() === 0 && server.closeIdleConnections()).ref();
  await closed;
  time.clear(force);
  time.clear(idle);
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
function refuse(error: NodeJS.ErrnoException, socket: Duplex, calls: Pick<Calls, "refuse">): void {
  if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy(error);
  const { status, code, message } = refusals[error.code ?? ""] ?? malformed;
  calls.refuse(undefined, new KmsError(code, message));
  const { _httpMessage: answering } = socket as { _httpMessage?: ServerResponse };
  if (answering?.headersSent) return void socket.destroy(error);
  const body = `${JSON.stringify({ code, message, fields: [] })}\n`;
  const headers = [
    "connection: close",
    "content-type: application/json",
    "x-content-type-options: nosniff",
    `content-length: ${body.length}`,
  ];
  // What follows a HEAD is refused as the answer to it, which has no body.
  const written = answering?.req.method === "HEAD" ? "" : body;
  socket.end([`HTTP/1.1 ${status}`, ...headers, "", written].join("\r\n"));
}
