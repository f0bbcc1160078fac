/**
 * The connections that the SDK's clients share, of the vault and of the authority that gives tokens: kept alive, closed when the provider
 * is, with the CAs of `azure.cacert`. A proxy of the environment (HTTPS_PROXY) goes before them. Retries and redirects of the SDK's own
 * are off: the resilience layer has its own retries, and a token does not go where an answer says.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Agent } from "node:https";
import { getCACertificates } from "node:tls";
import {
  createDefaultHttpClient,
  type HttpClient,
  type PipelineRequest,
  type PipelineResponse,
} from "@azure/core-rest-pipeline";
import type { DefaultAzureCredentialOptions } from "@azure/identity";
import { invalidField } from "../../errors.ts";

/** One exchange: an answer, or why there is none. */
export interface Exchange {
  url: string;
  status?: number;
  /** In milliseconds since 1970, by the Date header. */
  dateMs?: number | undefined;
  /** OAuth's `error`, as in invalid_client. */
  error?: string | undefined;
  failure?: unknown;
}

type ClientOptions = Pick<DefaultAzureCredentialOptions, "retryOptions" | "redirectOptions" | "httpClient">;

export interface AzureConnection {
  /** For a client of the SDK, each of whose exchanges is told to `seen`, but for those that are watched. */
  options(seen?: (exchange: Exchange) => void): ClientOptions;
  close(): void;
}

/** All of a process, as MSAL has one source of managed identities for all of it, with the first client that it was ever given. */
const watching = new AsyncLocalStorage<(exchange: Exchange) => void>();

/** Runs `work`, and tells `seen` of each exchange in it, whichever client's. */
export function watched<T>(seen: (exchange: Exchange) => void, work: () => Promise<T>): Promise<T> {
  return watching.run(seen, work);
}

/** More than the resilience layer has in flight, so that none waits for a socket. */
const maxSockets = 32;
/** Below the four minutes after which Azure's load balancers forget an idle connection. */
const idleMs = 60_000;
/** The SDK's own client gathers whatever comes, and one that is longer than a string can be ends the process. What is parsed holds up everyone. */
const maxAnswerBytes = 1 << 17;

export async function azureConnection(caFile: string | undefined): Promise<AzureConnection> {
  const ca = caFile === undefined ? undefined : [...getCACertificates("default"), await readCa(caFile)];
  const agent = new Agent({ keepAlive: true, maxSockets, timeout: idleMs, ca });

  const http = createDefaultHttpClient();

  return {
    options: (seen = () => {}) => ({
      retryOptions: { maxRetries: 0 },
      redirectOptions: { maxRetries: 0 },
      // Not a policy, as ManagedIdentityCredential puts its own in the place of those that it is given.
      httpClient: {
        async sendRequest(request) {
          const { url } = request;
          const tell = watching.getStore() ?? seen;
          if (isSecure(url)) request.agent ??= agent;
          try {
            const response = await sendBounded(http, request);
            const { status, headers, bodyAsText } = response;
            const error = status < 400 ? undefined : errorIn(bodyAsText);
            tell({ url, status, dateMs: dateIn(headers.get("date")), error });
            return response;
          } catch (failure) {
            tell({ url, failure });
            throw failure;
          }
        },
      },
    }),
    close: () => agent.destroy(),
  };
}

/**
 * Gathers the answer here, as far as one may go. A packed one may hold a thousand times what comes, so none is asked for.
 */
async function sendBounded(http: HttpClient, request: PipelineRequest): Promise<PipelineResponse> {
  request.headers.delete("Accept-Encoding");
  request.streamResponseStatusCodes = new Set([Number.POSITIVE_INFINITY]); // any
  try {
    const { readableStreamBody, ...response } = await http.sendRequest(request);
    return { ...response, bodyAsText: await textOf(readableStreamBody) };
  } finally {
    delete request.streamResponseStatusCodes; // whoever reads the answer is to find the text
  }
}

async function textOf(body: NodeJS.ReadableStream | undefined): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of (body ?? []) as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) throw new Error(`the answer is longer than ${maxAnswerBytes} bytes`); // and the rest does not come
  }
  return Buffer.concat(chunks).toString();
}

export function isSecure(url: string): boolean {
  return url.startsWith("https:");
}

function dateIn(header: string | undefined): number | undefined {
  const date = Date.parse(header ?? "");
  return Number.isNaN(date) ? undefined : date;
}

function errorIn(body: string | null | undefined): string | undefined {
  try {
    const { error } = Object(JSON.parse(body ?? "")) as { error?: unknown };
    return typeof error === "string" ? error : undefined;
  } catch {
    return undefined;
  }
}

async function readCa(path: string): Promise<string> {
  let pem: string;
  try {
    pem = await readFile(path, "utf8");
  } catch (error) {
    throw invalidField("azure.cacert", `${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    new X509Certificate(pem);
  } catch {
    throw invalidField("azure.cacert", `${path} holds no certificate in PEM`);
  }
  return pem;
}
