/** A running service, spoken to over HTTP. Every way of not getting an answer is one line that names the address. */
import { clientEnvironment } from "../config/client-environment.ts";
import { readJson } from "../encoding/json.ts";
import { type Command, Failure, type Option, type OptionValues, textOf, UsageError } from "./command.ts";
import { askByHttp, type HttpAnswer } from "./access/http-request.ts";
import { oneLine } from "./print.ts";
import {
  adviceOn,
  type Credentials,
  credentialOptions,
  credentialsFor,
  noCredentials,
  type ReadCredentials,
} from "./access/credentials.ts";
import { connectToOption, viaOf } from "./access/connect-to.ts";
import type { Place, Via } from "./access/token.ts";

export interface Answer {
  /** As the service wrote it. */
  text: string;
  json: Record<string, unknown>;
}

export interface Call {
  method: "GET" | "POST";
  /** With its query. */
  path: string;
  body?: Readonly<Record<string, unknown>>;
  timeoutMs: number;
}

/** A service, and what it is shown. */
export interface Service {
  place: Place;
  credentials: ReadCredentials;
}

const defaultAddress = "http://localhost:8080";

export const serviceOptions: readonly Option[] = [
  {
    name: "address",
    value: "URL",
    description: `the service's HTTP address, or unix:PATH of its local socket; else FLUO_KMS_ADDR, else ${defaultAddress}`,
  },
  connectToOption,
  ...credentialOptions,
];

export const serviceDetails: Command["details"] = [
  "Speaks to a running service. Where --token-file, --ca-cert, --client-cert and --client-key are not given, the files are those of",
  "FLUO_KMS_TOKEN_FILE (or the token itself is that of FLUO_KMS_TOKEN), FLUO_KMS_CACERT, FLUO_KMS_CLIENT_CERT and FLUO_KMS_CLIENT_KEY.",
  "",
];

/** Throws a Failure for anything but a JSON object with status 2xx; a refusal by the service keeps its code and fields. */
export async function callService(options: OptionValues, call: Call): Promise<Answer> {
  const place = placeOf(options);
  return askService({ place, credentials: credentialsFor(options, place) }, call);
}

/** Text of an answer that is no JSON. Throws a Failure for anything but status 200. */
export async function textFromService(options: OptionValues, call: Call): Promise<string> {
  const place = placeOf(options);
  refuseBeyondSocket(place, call);
  const shown = credentialsFor(options, place)();
  const { status, text } = await answerOf(place, call, shown);
  if (status === 200) return text.trimEnd();
  throw refusal(status, objectIn(text) ?? {}, shown);
}

/** Asks a service that is known already, as {@link callService}. */
export async function askService({ place, credentials }: Service, call: Call): Promise<Answer> {
  refuseBeyondSocket(place, call);
  const shown = credentials();
  const { status, location, text } = await answerOf(place, call, shown);
  if (location !== undefined && status >= 300 && status < 400) throw redirected(place, location);
  const json = objectIn(text);
  if (json === undefined) {
    throw unreachable(`${place.text} answered HTTP ${status} without JSON; is it the HTTP port of a fluo-kms service?`);
  }
  if (status < 200 || status > 299) throw refusal(status, json, shown);
  return { text: text.trimEnd(), json };
}

/** The service that an option or the environment names. Throws UsageError for what is no address. */
export function placeOf(options: OptionValues, env = clientEnvironment()): Place {
  const given = textOf(options, "address");
  const origin = given === undefined ? "FLUO_KMS_ADDR" : "--address";
  const place = placeAt(given ?? env.address ?? defaultAddress, origin);
  if (place.socket === undefined) return { ...place, via: viaOf(options, env) };
  // In a pod of the chart the variable names the pod's own socket: another replica's state must not be taken from there.
  if (options[connectToOption.name] !== undefined) {
    const why = `--${connectToOption.name} has no effect on the local socket that ${origin} names`;
    throw new UsageError(`${why}; give the service's HTTP address with --address`);
  }
  return place;
}

/** `origin` is where the text comes from. Throws UsageError that names it. */
export function placeAt(text: string, origin = "--address"): Place {
  if (text.startsWith("unix:")) return socketAt(text, origin);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url !== undefined && url.username === "" && url.search === "" && url.hash === "";
  if (!isPlain || !/^https?:$/.test(url.protocol))
    throw new UsageError(`${origin} must be a URL such as ${defaultAddress}`);
  return { text: url.href.replace(/\/$/, ""), host: url.hostname, isTls: url.protocol === "https:" };
}

function socketAt(text: string, origin: string): Place {
  const socket = text.slice("unix:".length);
  if (socket === "" || socket.startsWith("//"))
    throw new UsageError(`${origin} must be unix:PATH, without // before the path`);
  return { text, host: "localhost", isTls: false, socket };
}

/** Paths of the local socket. The service refuses all others; said here, the refusal has advice. */
const ofSocket = /^\/(q\/|api\/admin\/kms\/(status|validate|log-level|cpu-profile)(\?seconds=\d+)?$)/;

function refuseBeyondSocket({ socket }: Place, { path, body = {} }: Call): void {
  if (socket === undefined || (ofSocket.test(path) && !Object.hasOwn(body, "tenant_id"))) return;
  const served = "status, validate, preflight, metrics, log-level and cpu-profile, and no tenant";
  throw new UsageError(`a local socket serves ${served}; for all else give the service's HTTP address with --address`);
}

async function answerOf(
  place: Place,
  { method, path, body, timeoutMs }: Call,
  { token, tls }: Credentials,
): Promise<HttpAnswer> {
  const headers = {
    ...(method === "POST" && { "content-type": "application/json" }),
    ...(token && { authorization: `Bearer ${token.text}` }),
  };
  const sent = method === "POST" ? JSON.stringify(body ?? {}) : undefined;
  try {
    const { socket, via } = place;
    const base = socket === undefined ? place.text : "http://localhost";
    return await askByHttp(new URL(base + path), { method, headers, body: sent, tls, timeoutMs, socket, via });
  } catch (error) {
    throw unreachable(whyUnreachable(place, error));
  }
}

function redirected({ text }: Place, location: string): Failure {
  const why = "no redirect is followed, as what the service is shown would go there too";
  return unreachable(`${text} redirects to ${oneLine(location)}; ${why}: name the service itself with --address`);
}

/** Says why a service cannot be reached; each address of a name has an error of its own. Texts are quoted, and decide nothing. */
function whyUnreachable({ text, via, isTls, socket }: Place, error: unknown): string {
  const address = via === undefined ? text : `${text} at ${authorityOf(via)}`;
  if ((error as Error).name === "TimeoutError")
    return `no answer from ${address} in time; look at its log and its health`;
  const { errors, message, ...own } = error as Error & { code?: string; errors?: { code?: string }[] };
  const code = own.code ?? errors?.[0]?.code;
  if (socket !== undefined) return whySocketUnreachable(address, code);
  if (code === "ECONNREFUSED") {
    return `nothing listens at ${address}; start the service with "fluo-kms serve" or name another with --address`;
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return `the host of ${address} is not known; name another with --address`;
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `the certificate of ${address} is not trusted (${message}); name the service with --address as its certificate does`;
  }
  if (code !== undefined && /^(?!ERR_SSL).*(CERT|SELF_SIGNED|ISSUER|VERIFY|INVALID_CA|INVALID_PURPOSE)/.test(code)) {
    return `the certificate of ${address} is not trusted (${code}); name its authority's PEM file with --ca-cert, or in NODE_EXTRA_CA_CERTS`;
  }
  return `no answer from ${address} (${code ?? message}); is it the service's HTTP port, ${isTls ? "with" : "without"} TLS?`;
}

function whySocketUnreachable(address: string, code: string | undefined): string {
  switch (code) {
    case "EACCES":
      return `this user may not use ${address}; run the command as the service's user, or as root`;
    case "ENOENT":
      return `there is no ${address}; see whether the service runs, and give the path of its fluo.kms.local-socket`;
    case "ECONNREFUSED":
      return `nothing listens at ${address}; see whether the service runs, and whether that is its fluo.kms.local-socket`;
    default:
      return `no answer from ${address} (${code}); is it the local socket of a fluo-kms service?`;
  }
}

function authorityOf({ host, port }: Via): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function unreachable(message: string): Failure {
  return new Failure(message, { code: "UNAVAILABLE", message, fields: [] });
}

/**
 * The body is `{code, message, fields: [{field, description}]}`. Its message may already say the one field there is, which is then not
 * printed twice; beside that only advice depends on the text.
 */
function refusal(status: number, json: Record<string, unknown>, shown: Credentials): Failure {
  const message = typeof json.message === "string" ? json.message : "no reason given";
  const advice = adviceOn(message, shown);
  const code = typeof json.code === "string" ? json.code : `HTTP ${status}`;
  const fields = Array.isArray(json.fields) ? (json.fields as { field?: unknown; description?: unknown }[]) : [];
  const lines = fields
    .map((field) => `${field?.field}: ${field?.description}`)
    .filter((line) => !message.includes(line));
  const first = advice === undefined ? `${code}: ${message}` : `${code}: ${message}; ${advice}`;
  return new Failure([first, ...lines].map(oneLine).join("\n"), json);
}

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const json = readJson(text);
    return typeof json === "object" && json !== null && !Array.isArray(json)
      ? (json as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Options of commands that a service's local socket alone serves. */
export const localOptions: readonly Option[] = [
  { name: "address", value: "unix:PATH", description: "the service's local socket, else FLUO_KMS_ADDR" },
];

/** Asks the local socket that the options or the environment name. */
export function callLocal(options: OptionValues, call: Call): Promise<Answer> {
  const place = placeOf(options);
  if (place.socket === undefined) {
    const where = "the path of fluo.kms.local-socket, on the machine or in the container of the service";
    throw new UsageError(`only a local socket serves this; give --address unix:PATH, ${where}`);
  }
  return askService({ place, credentials: noCredentials }, call);
}
