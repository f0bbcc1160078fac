/**
 * Requests to Vault or OpenBao over kept-alive connections. No redirect is followed: a standby's names another host, and the token would
 * go there. Buffers that may hold a secret are overwritten once they were used; Node's own copies on their way to the socket cannot be.
 */
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { invalidField, KmsError } from "../../errors.ts";
import { cancelled, refuseAborted } from "../../runtime/deadline.ts";
import type { VaultSettings } from "./settings.ts";

export interface VaultRequest {
  method: "GET" | "POST";
  /** Behind `/v1/`, as in `transit/encrypt/fluo`. */
  path: string;
  token?: string;
  /** JSON. Overwritten when the answer is there. */
  body?: Uint8Array;
}

export interface VaultAnswer {
  status: number;
  /** Whoever reads a secret in it overwrites it. */
  body: Buffer;
  /** The Date header, in milliseconds since 1970. */
  dateMs: number | undefined;
}

export interface VaultConnection {
  /** Throws PROVIDER_UNAVAILABLE where there is no whole answer; any status is an answer. */
  send(request: VaultRequest, signal?: AbortSignal): Promise<VaultAnswer>;
  close(): void;
}

const agentOptions = {
  keepAlive: true,
  maxSockets: 64,
  maxFreeSockets: 20,
  /** Below the 5 minutes after which Vault closes an idle connection, so that no request meets the closing. */
  timeout: 60_000,
};
const maxAnswerBytes = 1 << 20;

/** Throws INVALID_ARGUMENT for an address or a CA file that cannot be used. */
export async function connectVault(settings: Pick<VaultSettings, "addr" | "caFile" | "namespace">) {
  const { addr, namespace } = settings;
  const base = baseUrl(addr);
  const ca = settings.caFile === undefined ? undefined : await readCa(settings.caFile);
  const secure = base.protocol === "https:";
  const agent = secure ? new HttpsAgent({ ...agentOptions, ca }) : new HttpAgent(agentOptions);
  const target = {
    agent,
    hostname: base.hostname.replace(/^\[|\]$/g, ""),
    port: base.port || undefined,
  };
  const prefix = base.pathname.replace(/\/+$/, "");
  let closed = false;

  function open({ method, path, token, body }: VaultRequest, signal: AbortSignal | undefined): ClientRequest {
    const headers = {
      "x-vault-request": "true",
      ...(namespace !== undefined && { "x-vault-namespace": namespace }),
      ...(token !== undefined && { "x-vault-token": token }),
      ...(body !== undefined && { "content-type": "application/json", "content-length": body.length }),
    };
    const options = { ...target, method, path: `${prefix}/v1/${path}`, headers, ...(signal && { signal }) };
    return secure ? httpsRequest(options) : httpRequest(options);
  }

  const connection: VaultConnection = {
    async send(request, signal) {
      refuseAborted(signal);
      if (closed) throw new KmsError("PROVIDER_UNAVAILABLE", "the provider vault is closed");
      try {
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
  return connection;
}

/** PROVIDER_UNAVAILABLE at the end of a time that is not a caller's. */
export function lateAnswer(): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", "provider vault did not answer in time");
}

function exchange(call: ClientRequest, body: Uint8Array | undefined): Promise<VaultAnswer> {
  return new Promise((resolve, reject) => {
    call.on("error", reject);
    call.on("response", (response) => whole(response).then(resolve, reject));
    call.end(body);
  });
}

async function whole(response: IncomingMessage): Promise<VaultAnswer> {
  const chunks: Buffer[] = [];
  try {
    let bytes = 0;
    for await (const chunk of response) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > maxAnswerBytes) throw new Error(`the answer is longer than ${maxAnswerBytes} bytes`);
    }
    const dateMs = Date.parse(response.headers.date ?? "");
    return {
      status: response.statusCode ?? 0,
      body: Buffer.concat(chunks),
      dateMs: Number.isNaN(dateMs) ? undefined : dateMs,
    };
  } finally {
    for (const chunk of chunks) chunk.fill(0);
  }
}

function baseUrl(addr: string): URL {
  const url = URL.parse(addr);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw invalidField("vault.addr", "must be a URL, as in https://vault.example.com:8200");
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw invalidField("vault.addr", "must hold no user, password, query or fragment");
  }
  return url;
}

async function readCa(path: string): Promise<Buffer> {
  let pem: Buffer;
  try {
    pem = await readFile(path);
  } catch (error) {
    throw invalidField("vault.cacert", `${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  try {
    new X509Certificate(pem);
  } catch {
    throw invalidField("vault.cacert", `${path} holds no certificate in PEM`);
  }
  return pem;
}

const certificateCodes =
  /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_|HOSTNAME_MISMATCH|INVALID_CA|ERR_SSL_)/;

function unreachable(cause: unknown): KmsError {
  if (cause instanceof KmsError) return cause;
  const { code = "" } = cause as NodeJS.ErrnoException;
  if (certificateCodes.test(code)) {
    return new KmsError("PROVIDER_UNAVAILABLE", `provider vault cannot be reached by TLS (${code})`, {
      cause,
      advice: `Give the PEM file of the CA that signed Vault's certificate in vault.cacert, and in vault.addr a name that the certificate holds (${code}).`,
    });
  }
  const why = /^[A-Z0-9_]+$/.test(code) ? ` (${code})` : "";
  return new KmsError("PROVIDER_UNAVAILABLE", `provider vault did not answer${why}`, { cause });
}
