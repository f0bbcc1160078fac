/**
 * Requests to a provider that has no SDK here, over kept-alive connections. Node's own client rather than `fetch`,
 * whose pool has no end and cannot be closed, and which copies bodies once more: these may hold a secret, and are
 * overwritten once they were used. Node's own copies on their way to the socket cannot be. No redirect is followed: the
 * token would go where it says.
 */
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { KmsError } from "../errors.ts";
import { cancelled, refuseAborted } from "../runtime/deadline.ts";
import { type Server, unreachable } from "./unreachable.ts";

export interface HttpRequest {
  method: "GET" | "POST";
  /** Behind `/v1/`, as in `transit/encrypt/fluo`. */
  path: string;
  headers: Readonly<Record<string, string>>;
  /** JSON. Overwritten when the answer is there. */
  body?: Uint8Array;
}

export interface HttpAnswer {
  status: number;
  /** Whoever reads a secret in it overwrites it. */
  body: Buffer;
  /** The Date header, in milliseconds since 1970. */
  dateMs: number | undefined;
  /** The Retry-After header, if it is a number of seconds. */
  retryAfter?: string | undefined;
}

export interface HttpConnection<Request = HttpRequest> {
  /** Throws PROVIDER_UNAVAILABLE unless there is a whole answer; any status is an answer. */
  send(request: Request, signal?: AbortSignal): Promise<HttpAnswer>;
  close(): void;
}

export interface HttpTarget extends Server {
  /** Its path stands before `/v1/`. */
  base: URL;
  /** PEM of the authorities that are trusted instead of the system's. */
  ca?: Buffer | undefined;
  maxSockets: number;
  /** What is parsed holds up everyone, so that it is no more than there is room for. */
  maxAnswerBytes: number;
}

/**
 * An idle connection is closed before something on its way forgets it: Vault does after five minutes, Google's networks
 * after ten.
 */
const idleMs = 60_000;
const maxFreeSockets = 20;

export function connectHttp({ base, ca, maxSockets, maxAnswerBytes, ...server }: HttpTarget): HttpConnection {
  const isSecure = base.protocol === "https:";
  const agentOptions = { keepAlive: true, maxSockets, maxFreeSockets, timeout: idleMs };
  const agent = isSecure ? new HttpsAgent({ ...agentOptions, ca }) : new HttpAgent(agentOptions);
  const target = { agent, hostname: base.hostname.replace(/^\[|\]$/g, ""), port: base.port || undefined };
  const prefix = base.pathname.replace(/\/+$/, "");
  let isClosed = false;

  function open({ method, path, headers, body }: HttpRequest, signal: AbortSignal | undefined): ClientRequest {
    const ofBody = body && { "content-type": "application/json", "content-length": body.length };
    const all = { ...headers, ...ofBody };
    const options = { ...target, method, path: `${prefix}/v1/${path}`, headers: all, ...(signal && { signal }) };
    return isSecure ? httpsRequest(options) : httpRequest(options);
  }

  return {
    async send(request, signal) {
      try {
        refuseAborted(signal);
        if (isClosed) throw new KmsError("PROVIDER_UNAVAILABLE", `the ${server.who} is closed`);
        return await exchange(open(request, signal), request.body, maxAnswerBytes);
      } catch (error) {
        throw signal?.aborted ? cancelled(signal) : unreachable(error, server);
      } finally {
        request.body?.fill(0);
      }
    },
    close() {
      isClosed = true;
      agent.destroy();
    },
  };
}

function exchange(call: ClientRequest, body: Uint8Array | undefined, maxAnswerBytes: number): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    call.on("error", reject);
    call.on("response", (response) => whole(response, maxAnswerBytes).then(resolve, reject));
    call.end(body);
  });
}

async function whole(response: IncomingMessage, maxAnswerBytes: number): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  try {
    let bytes = 0;
    for await (const chunk of response) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > maxAnswerBytes) throw new Error(`the answer is longer than ${maxAnswerBytes} bytes`);
    }
    const { date = "", "retry-after": retryAfter = "" } = response.headers;
    const dateMs = Date.parse(date);
    return {
      status: response.statusCode ?? 0,
      body: Buffer.concat(chunks),
      dateMs: Number.isNaN(dateMs) ? undefined : dateMs,
      retryAfter: /^\d{1,6}$/.test(retryAfter) ? retryAfter : undefined,
    };
  } finally {
    for (const chunk of chunks) chunk.fill(0);
  }
}
