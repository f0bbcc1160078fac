/** One request over HTTP/1.1, by Node's own client: fetch shows no client certificate. */
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request } from "node:http";
import { Agent as HttpsAgent, request as requestByTls } from "node:https";
import { isIP } from "node:net";
import { addAbortSignal } from "node:stream";
import { text } from "node:stream/consumers";
import { checkServerIdentity, getCACertificates, type PeerCertificate } from "node:tls";
import { realTime } from "../../runtime/time.ts";
import { proxiesFor } from "./proxies.ts";
import type { Via } from "./token.ts";
import type { ServiceTls } from "./tls.ts";

export interface HttpRequest {
  method: "GET" | "POST";
  headers: Readonly<Record<string, string>>;
  body: string | undefined;
  tls: ServiceTls;
  timeoutMs: number;
  /** Path of a unix socket to connect to. */
  socket?: string | undefined;
  /** Where to connect instead of to the URL's host; all that names the service stays. */
  via?: Via | undefined;
}

export interface HttpAnswer {
  status: number;
  /** Where a redirect leads. None is ever followed. */
  location: string | undefined;
  text: string;
}

/** Rejects with the system's error, or with a TimeoutError. */
export async function askByHttp(url: URL, wanted: HttpRequest): Promise<HttpAnswer> {
  const { method, headers, body, timeoutMs, socket, via } = wanted;
  const late = new AbortController();
  const { signal } = late;
  const timer = realTime.after(timeoutMs, () => late.abort(new DOMException("no answer in time", "TimeoutError")));
  try {
    const options = {
      method,
      signal,
      agent: agentFor(url, wanted, signal),
      headers: { ...headers, ...(via && { host: url.host }) },
      ...(socket !== undefined && { socketPath: socket }),
      ...(via && { hostname: via.host, port: via.port, ...namedBy(url) }),
    };
    const asked = (url.protocol === "https:" ? requestByTls : request)(url, options);
    const answer = await answerTo(asked.end(body));
    return { status: answer.statusCode ?? 0, location: answer.headers.location, text: await text(answer) };
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    realTime.clear(timer);
  }
}

function answerTo(asked: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => asked.once("response", resolve).on("error", reject));
}

/** TLS as for the URL's own host. A server is named by no address, but its certificate is checked against it. */
function namedBy({ hostname }: URL) {
  const name = hostname.replace(/^\[|\]$/g, "");
  return {
    ...(isIP(name) === 0 && { servername: name }),
    checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(name, certificate),
  };
}

function agentFor(url: URL, { tls, socket, via }: HttpRequest, signal: AbortSignal): HttpAgent {
  const proxyEnv = socket === undefined && via === undefined ? proxiesFor(url.hostname) : undefined;
  const options = proxyEnv === undefined ? {} : { proxyEnv };
  const agent = url.protocol === "https:" ? new HttpsAgent({ ...options, ...contextOf(tls) }) : new HttpAgent(options);
  const connect = agent.createConnection.bind(agent);
  // Node does not end a connection to a proxy, on which nothing comes, when its request is aborted.
  agent.createConnection = (...args) => {
    const socket = connect(...args);
    return socket && addAbortSignal(signal, socket);
  };
  return agent;
}

function contextOf({ ca, certificate }: ServiceTls) {
  return {
    ...(ca !== undefined && { ca: [...getCACertificates("default"), ca] }),
    ...(certificate && { cert: certificate.cert, key: certificate.key }),
  };
}
