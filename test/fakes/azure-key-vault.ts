/**
 * A vault of Azure's and the authority for its tokens on https://localhost, for the real SDKs: real cryptography, the refusals of Azure's
 * own pages (azure-key-vault-operations.ts), and faults that can be switched while it runs. It proves only what those pages say.
 *
 * `fault` changes the weather until `heal`; `once` changes one answer. Counts go on through both.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import { fromNow } from "../support/from-now.ts";
import { openIdConfiguration, tenant, tokenAnswer } from "./azure-authority.ts";
import { type AzureFault, type AzureFaults, faultOf, healthy } from "./azure-key-vault-faults.ts";
import { type FakeKeyOptions, type FakeVaultKey, fakeVaultKey, rsaPairs } from "./azure-key-vault-keys.ts";
import {
  answerTo,
  AzureError,
  keyRequest,
  type VaultOperation,
  type VaultState,
} from "./azure-key-vault-operations.ts";
import { localhostCertificate } from "./certificate.ts";
import { startFakeServer } from "./fake-server.ts";

export type { AzureFault, AzureFaults } from "./azure-key-vault-faults.ts";
export { type FakeVaultKey, noRotation, rotatedEvery } from "./azure-key-vault-keys.ts";

/** `challenge`: a request of the vault without a token, or with one that it does not take. */
export type AzureOperation = VaultOperation | "challenge" | "discovery" | "token" | "unknown";

export interface LoggedAzureRequest {
  operation: AzureOperation;
  path: string;
  /** What it was about, of the vault's. */
  body: { alg?: string; value?: string };
  hasToken: boolean;
  /** The Accept-Encoding header. */
  packing: string | undefined;
}

export interface AzureKeyVaultFake {
  readonly url: string;
  readonly port: number;
  /** PEM of the authority that vouches for its certificate. */
  readonly caFile: string;
  createKey(name: string, options?: FakeKeyOptions): FakeVaultKey;
  /** Its versions too: one of this name that is made later is another. */
  purge(name: string): void;
  /** Refuses, as a role does, what this is true for. The last one counts. */
  deny(denies: VaultState["denies"]): void;
  /** A token that it takes, as another authority than its own would give one. */
  giveToken(): string;
  /** Tokens that were given out are taken no more. */
  revokeTokens(): void;
  /** The resource that challenges name; the vault's own unless given. */
  resource: string;
  /** Requests by operation, answered or not. */
  readonly calls: Readonly<Partial<Record<AzureOperation, number>>>;
  readonly log: readonly LoggedAzureRequest[];
  readonly inFlight: number;
  /** Open connections now. */
  readonly connections: number;
  /** Resolves when `done` is true of this fake, which it looks at whenever a request or connection comes or goes. */
  until(done: () => boolean): Promise<void>;
  fault(faults: AzureFaults): Promise<void>;
  heal(): Promise<void>;
  /** The next request of this operation that no earlier `once` takes is answered so. */
  once(answer: AzureFault, operation: AzureOperation): void;
  close(): Promise<void>;
}

export async function startAzureKeyVault(port = 0): Promise<AzureKeyVaultFake> {
  const { cert, key, file } = localhostCertificate();
  const state: VaultState = { url: "", keys: new Map(), denies: () => false, faults: healthy };
  const calls: Partial<Record<AzureOperation, number>> = {};
  const log: LoggedAzureRequest[] = [];
  const oneOffs: { answer: AzureFault; operation: AzureOperation }[] = [];
  const tokens = new Set<string>();
  const http = await startFakeServer({ server: createServer({ cert, key, keepAliveTimeout: 0 }), serve, port });
  state.url = `https://localhost:${http.port}`;

  async function fault(changes: AzureFaults): Promise<void> {
    state.faults = { ...state.faults, ...changes };
    await (state.faults.mode === "refused" ? http.shut() : http.open());
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString();
    const { pathname } = new URL(request.url!, fake.url);
    const { operation, right, body } = understood(request, pathname, text);
    calls[operation] = (calls[operation] ?? 0) + 1;
    const { authorization, "accept-encoding": packing } = request.headers;
    log.push({ operation, path: pathname, body, hasToken: authorization !== undefined, packing: packing?.toString() });
    http.changed();
    const { mode, latencyMs, dateOffsetMs } = state.faults;
    if (latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, latencyMs));
    const special = mode === "none" ? takeOneOff(operation) : faultOf(mode);
    if (special === "silence") return;
    if (special === "reset") return void request.socket.destroy();
    response.setHeader("Date", fromNow(dateOffsetMs).toUTCString());
    send(response, special, right);
  }

  /** What is asked, and what is right to answer. */
  function understood(request: IncomingMessage, path: string, text: string) {
    const post = request.method === "POST";
    const of = (operation: AzureOperation, right: () => Right, body = {}) => ({ operation, right, body });
    if (path === `/${tenant}/v2.0/.well-known/openid-configuration`)
      return of("discovery", () => openIdConfiguration(state.url));
    if (post && path === `/${tenant}/oauth2/v2.0/token`) {
      const give = () =>
        tokenAnswer(new URLSearchParams(text), state.faults.tokenSeconds, (token) => tokens.add(token));
      return of("token", give);
    }
    const asked = keyRequest(request.method!, path, parsed(text));
    if (asked === undefined)
      return of("unknown", () => ({ status: 404, body: { error: { code: "NotFound", message: "" } } }));
    if (!isAuthorized(request)) return of("challenge", challenge, parsed(text));
    return of(asked.operation, () => ({ status: 200, body: answerTo(state, asked) }), parsed(text));
  }

  function isAuthorized({ headers }: IncomingMessage): boolean {
    const [scheme, token = ""] = (headers.authorization ?? "").split(" ");
    return scheme === "Bearer" && tokens.has(token) && !state.faults.takesNoToken;
  }

  /** learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses#authentication */
  function challenge(): Right {
    return {
      status: 401,
      body: { error: { code: "Unauthorized", message: "AKV10000: Request is missing a Bearer or PoP token." } },
      headers: {
        "WWW-Authenticate": `Bearer authorization="${state.url}/${tenant}", resource="${fake.resource}"`,
      },
    };
  }

  function takeOneOff(operation: AzureOperation): AzureFault | undefined {
    const at = oneOffs.findIndex((one) => one.operation === operation);
    return at < 0 ? undefined : oneOffs.splice(at, 1)[0]!.answer;
  }

  const pairOf = rsaPairs();
  const fake: AzureKeyVaultFake = {
    url: state.url,
    port: http.port,
    caFile: file,
    calls,
    log,
    resource: "https://vault.azure.net",
    createKey(name, options = {}) {
      const made = fakeVaultKey(name, options, pairOf);
      state.keys.set(name.toLowerCase(), made);
      return made;
    },
    purge: (name) => void state.keys.delete(name.toLowerCase()),
    deny(denies) {
      state.denies = denies;
    },
    giveToken() {
      const token = crypto.randomUUID();
      tokens.add(token);
      return token;
    },
    revokeTokens: () => tokens.clear(),
    get inFlight() {
      return http.inFlight;
    },
    get connections() {
      return http.connections;
    },
    until: http.until,
    fault,
    async heal() {
      oneOffs.length = 0;
      await fault(healthy);
    },
    once: (answer, operation) => void oneOffs.push({ answer, operation }),
    close: http.shut,
  };
  return fake;
}

interface Right {
  status: number;
  body: Record<string, unknown>;
  headers?: Record<string, string>;
}

function parsed(text: string): { alg?: string; value?: string } {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

function send(response: ServerResponse, special: AzureFault | undefined, right: () => Right): void {
  const json = { "Content-Type": "application/json; charset=utf-8" };
  if (typeof special === "object" && "code" in special) {
    const { status, code, message = "", inner, headers = {}, spelt = "innererror" } = special;
    const error = { code, message, ...(inner && { [spelt]: { code: inner } }) };
    return void response.writeHead(status, { ...json, ...headers }).end(JSON.stringify({ error }));
  }
  if (typeof special === "object" && "body" in special) {
    const { status = 200, contentType = json["Content-Type"], body, headers = {} } = special;
    return void response.writeHead(status, { "Content-Type": contentType, ...headers }).end(body);
  }
  const { status, body, headers = {} } = answered(right);
  const text = Buffer.from(JSON.stringify(typeof special === "object" ? special.change(body) : body));
  response.writeHead(status, { ...json, ...headers, "Content-Length": text.length });
  if (special !== "stalled" && special !== "truncated") return void response.end(text);
  response.write(text.subarray(0, text.length / 2), () => {
    if (special === "truncated") response.destroy();
  });
}

function answered(right: () => Right): Right {
  try {
    return right();
  } catch (error) {
    if (!(error instanceof AzureError)) throw error;
    const { status, code, message, inner } = error;
    return { status, body: { error: { code, message, ...(inner && { innererror: { code: inner } }) } } };
  }
}
