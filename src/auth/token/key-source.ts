/**
 * Key sets by HTTPS, at the address in the policy or in the issuer's discovery document (OpenID Connect Discovery 1.0
 * §4). No redirect is followed: the token of a token file goes where the policy says and nowhere else.
 */
import { readFile } from "node:fs/promises";
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { addAbortSignal } from "node:stream";
import { getCACertificates } from "node:tls";
import type { Time } from "../../runtime/time.ts";
import { type JsonError, readJson } from "../../encoding/json.ts";
import { withDeadline } from "../../runtime/deadline.ts";
import type { IssuerEntry } from "../policy/trust.ts";

export interface KeySourceOptions {
  /** Environment, of which NODE_USE_ENV_PROXY and the variables of proxies count, as for Node's own agents. */
  environment: Readonly<Record<string, string | undefined>>;
  /** Allows `http:` to this machine. */
  plainLoopback: boolean;
  time: Time;
  /** Time limit of a load, discovery included. */
  limitMs?: number;
}

type Source = Pick<IssuerEntry, "issuer" | "keys" | "ca" | "tokenFile">;

/** Gets the JSON of an address. */
type Get = (address: string) => Promise<Json>;
type Json = Readonly<Record<string, unknown>>;

const standardLimitMs = 5_000;
const maxAnswerBytes = 256 * 1024;

/** Makes the load of an entry whose keys are at an address or discovered. It rejects with an error for the log. */
export function keySource(source: Source, options: KeySourceOptions): (signal: AbortSignal) => Promise<Json> {
  const { time, limitMs = standardLimitMs } = options;
  const late = () => new Error(`no key set within ${limitMs} ms`);
  return (signal) =>
    withDeadline(time, limitMs, late, async (deadline) => {
      const either = AbortSignal.any([signal, deadline]);
      const get = await getter(source, options, either);
      return get(await addressOf(source, get));
    });
}

async function addressOf({ issuer = "", keys, tokenFile }: Source, get: Get): Promise<string> {
  if (keys.from !== "discovery") return keys.at;
  const document = await get(`${issuer.replace(/\/+$/, "")}/.well-known/openid-configuration`);
  if (document.issuer !== issuer) throw new Error("the discovery document is of another issuer");
  const { jwks_uri: address } = document;
  if (typeof address !== "string") throw new Error("the discovery document has no jwks_uri");
  if (tokenFile !== undefined && URL.parse(address)?.host !== new URL(issuer).host) {
    throw new Error("jwks_uri is on another host than the issuer, and the token of token-file is not sent there");
  }
  return address;
}

/** Reads the entry's files, which may have changed since the last load. */
async function getter({ ca, tokenFile }: Source, options: KeySourceOptions, signal: AbortSignal): Promise<Get> {
  const authorities = ca === undefined ? undefined : [...getCACertificates("default"), await readFile(ca, "utf8")];
  const token = tokenFile === undefined ? undefined : await tokenIn(tokenFile);
  const headers = { accept: "application/json", ...(token !== undefined && { authorization: `Bearer ${token}` }) };
  return async (address) => {
    const url = checked(address, options.plainLoopback);
    const agent = agentFor(url, { ca: authorities, environment: options.environment, signal });
    try {
      const send = url.protocol === "https:" ? httpsRequest : httpRequest;
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        send(url, { agent, headers, signal }).on("response", resolve).on("error", reject).end();
      });
      return await jsonOf(answer);
    } catch (error) {
      throw new Error(`${url.origin}${url.pathname}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    } finally {
      agent.destroy();
    }
  };
}

/** Token of a file, in the form of RFC 6750 §2.1. */
async function tokenIn(file: string): Promise<string> {
  const token = (await readFile(file, "utf8")).trim();
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(token)) throw new Error("token-file has no token");
  return token;
}

function checked(address: string, plainLoopback: boolean): URL {
  const url = URL.parse(address);
  if (url === null || url.username !== "" || url.password !== "") throw new Error("jwks_uri is no plain address");
  const isPlain = url.protocol === "http:" && plainLoopback && isLoopback(url.hostname);
  if (url.protocol === "https:" || isPlain) return url;
  throw new Error(`${url.origin} is not asked for keys: only https: is`);
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

interface Connecting {
  ca: string[] | undefined;
  environment: KeySourceOptions["environment"];
  signal: AbortSignal;
}

/** Agent for one request, as there is one in minutes. Loopback is never reached by a proxy. */
function agentFor(url: URL, { ca, environment, signal }: Connecting): HttpAgent {
  if (url.protocol === "http:") return new HttpAgent();
  const proxyEnv = environment.NODE_USE_ENV_PROXY === "1" ? environment : undefined;
  const agent = new HttpsAgent({ ...(ca && { ca }), ...(proxyEnv && { proxyEnv }) });
  const connect = agent.createConnection.bind(agent);
  // When a request is aborted, Node leaves its connection to a proxy open until the tunnel stands.
  agent.createConnection = (options, callback) => {
    const socket = connect(options, callback);
    return socket && addAbortSignal(signal, socket);
  };
  return agent;
}

async function jsonOf(answer: IncomingMessage): Promise<Json> {
  if (answer.statusCode !== 200) throw new Error(`answers ${answer.statusCode}`);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) throw new Error(`answers more than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return jsonObject(Buffer.concat(chunks));
}

function jsonObject(body: Buffer): Json {
  let value: unknown;
  try {
    value = readJson(body.toString());
  } catch (error) {
    throw new Error(`answers what ${(error as JsonError).message}`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw new Error("answers JSON that is no object");
}
