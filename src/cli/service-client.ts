/** A running service, spoken to over HTTP. Every way of not getting an answer is one line that names the address. */
import { type Command, Failure, type Option, type OptionValues, textOf, UsageError } from "./command.ts";
import { oneLine } from "./print.ts";

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

const defaultAddress = "http://localhost:8080";

export const addressOption: Option = {
  name: "address",
  value: "URL",
  description: `the service's HTTP address, ${defaultAddress} by default`,
};

export const serviceDetails: Command["details"] = [
  "Speaks to a running service. For a certificate of your own authority set NODE_EXTRA_CA_CERTS to its PEM file.",
];

/** Throws a Failure for anything but a JSON object with status 2xx; a refusal by the service keeps its code and fields. */
export async function callService(options: OptionValues, { method, path, body, timeoutMs }: Call): Promise<Answer> {
  const address = addressOf(options);
  const init: RequestInit = { method, redirect: "error", signal: AbortSignal.timeout(timeoutMs) };
  if (method === "POST") {
    init.headers = { "content-type": "application/json" };
    init.body = JSON.stringify(body ?? {});
  }
  const { ok, status, text } = await fetchText(address, path, init);
  const json = objectIn(text);
  if (json === undefined) {
    throw unreachable(`${address} answered HTTP ${status} without JSON; is it the HTTP port of a fluo-kms service?`);
  }
  if (!ok) throw refusal(status, json);
  return { text: text.trimEnd(), json };
}

function addressOf(options: OptionValues): string {
  const text = textOf(options, "address") ?? defaultAddress;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url !== undefined && url.username === "" && url.search === "" && url.hash === "";
  if (!isPlain || !/^https?:$/.test(url.protocol))
    throw new UsageError(`--address must be a URL such as ${defaultAddress}`);
  return url.href.replace(/\/$/, "");
}

async function fetchText(address: string, path: string, init: RequestInit) {
  try {
    const response = await fetch(address + path, init);
    return { ok: response.ok, status: response.status, text: await response.text() };
  } catch (error) {
    throw unreachable(whyUnreachable(address, error));
  }
}

/**
 * fetch says "fetch failed"; the reason is the code of its cause, which for a name with several addresses holds an error for each. Texts
 * are quoted, and decide nothing.
 */
function whyUnreachable(address: string, error: unknown): string {
  if ((error as Error).name === "TimeoutError")
    return `no answer from ${address} in time; look at its log and its health`;
  const { cause } = error as { cause?: { code?: string; errors?: { code?: string }[]; message?: string } };
  const code = cause?.code ?? cause?.errors?.[0]?.code;
  if (code === "ECONNREFUSED") {
    return `nothing listens at ${address}; start the service with "fluo-kms serve" or name another with --address`;
  }
  if (code === "ENOTFOUND") return `the host of ${address} is not known; name another with --address`;
  if (code !== undefined && /CERT|SELF_SIGNED|ISSUER/.test(code)) {
    return `the certificate of ${address} is not trusted (${code}); set NODE_EXTRA_CA_CERTS to its authority's PEM file`;
  }
  return `no answer from ${address} (${code ?? cause?.message ?? (error as Error).message}); is it the service's HTTP port?`;
}

function unreachable(message: string): Failure {
  return new Failure(message, { code: "UNAVAILABLE", message, fields: [] });
}

/**
 * The body is `{code, message, fields: [{field, description}]}`. Its message may already say the one field there is, which is then not
 * printed twice; nothing else depends on the text.
 */
function refusal(status: number, json: Record<string, unknown>): Failure {
  const message = typeof json.message === "string" ? json.message : "no reason given";
  const code = typeof json.code === "string" ? json.code : `HTTP ${status}`;
  const fields = Array.isArray(json.fields) ? (json.fields as { field?: unknown; description?: unknown }[]) : [];
  const lines = fields
    .map((field) => `${field?.field}: ${field?.description}`)
    .filter((line) => !message.includes(line));
  return new Failure([`${code}: ${message}`, ...lines].map(oneLine).join("\n"), json);
}

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null && !Array.isArray(json)
      ? (json as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
