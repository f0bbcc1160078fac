/**
 * Requests to Cloud KMS over kept-alive connections. Node's own client rather than `fetch`, whose pool has no end and cannot be closed, and
 * which copies bodies once more: these may hold a secret, and are overwritten once they were used. Node's own copies on their way to the
 * socket cannot be. No redirect is followed: the token would go where it says.
 */
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { invalidField, KmsError } from "../../errors.ts";
import { unreachable } from "../unreachable.ts";
import { cancelled, refuseAborted } from "../../runtime/deadline.ts";

export interface GcpRequest {
  method: "GET" | "POST";
  /** Behind `/v1/`, as in `projects/…/cryptoKeys/fluo:encrypt`. */
  path: string;
  headers: Readonly<Record<string, string>>;
  /** JSON. Overwritten when the answer is there. */
  body?: Uint8Array;
}

export interface GcpAnswer {
  status: number;
  /** Whoever reads a secret in it overwrites it. */
  body: Buffer;
  /** The Date header, in milliseconds since 1970. */
  dateMs: number | undefined;
  /** As it came, where it is a number of seconds. */
  retryAfter: string | undefined;
}

export interface GcpConnection {
  /** Throws PROVIDER_UNAVAILABLE where there is no whole answer; any status is an answer. */
  send(request: GcpRequest, signal?: AbortSignal): Promise<GcpAnswer>;
  close(): void;
}

const agentOptions = {
  keepAlive: true,
  /** More than the resilience layer has in flight, so that none waits for a socket. */
  maxSockets: 32,
  maxFreeSockets: 20,
  /** An idle connection is closed before something on its way forgets it: Google's networks do after ten minutes. */
  timeout: 60_000,
};
/** The longest, an encrypted key, is 11 KiB of it. What is parsed holds up everyone, so that it is no more than there is room for. */
const maxAnswerBytes = 1 << 16;

/** Throws INVALID_ARGUMENT for an endpoint that cannot be used. */
export function connectGcp(endpoint: string): GcpConnection {
  const base = baseUrl(endpoint);
  const secure = base.protocol === "https:";
  const agent = secure ? new HttpsAgent(agentOptions) : new HttpAgent(agentOptions);
  const target = { agent, hostname: base.hostname.replace(/^\[|\]$/g, ""), port: base.port || undefined };
  let closed = false;

  function open({ method, path, headers, body }: GcpRequest, signal: AbortSignal | undefined): ClientRequest {
    const own = body === undefined ? {} : { "content-type": "application/json", "content-length": body.length };
    const all = { ...headers, ...own, accept: "application/json" };
    const options = { ...target, method, path: `/v1/${path}`, headers: all, ...(signal && { signal }) };
    return secure ? httpsRequest(options) : httpRequest(options);
  }

  return {
    async send(request, signal) {
      try {
        refuseAborted(signal);
        if (closed) throw new KmsError("PROVIDER_UNAVAILABLE", "the provider gcp is closed");
        return await exchange(open(request, signal), request.body);
      } catch (error) {
        throw signal?.aborted ? cancelled(signal) : unreachable(error);
      } finally {
        request.body?.fill(0);
      }
    },
    close() {
      closed = true;
      agent.destroy();
    },
  };
}

function exchange(call: ClientRequest, body: Uint8Array | undefined): Promise<GcpAnswer> {
  return new Promise((resolve, reject) => {
    call.on("error", reject);
    call.on("response", (response) => whole(response).then(resolve, reject));
    call.end(body);
  });
}

async function whole(response: IncomingMessage): Promise<GcpAnswer> {
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

function baseUrl(endpoint: string): URL {
  const url = URL.parse(endpoint);
  const isPlain = url !== null && /^https?:$/.test(url.protocol) && `${url.username}${url.search}${url.hash}` === "";
  if (isPlain && url.pathname === "/") return url;
  throw invalidField("gcp.kms.endpoint", "must be a URL such as https://host:port, without a path");
}
