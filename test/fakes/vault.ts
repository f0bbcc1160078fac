/**
 * A small, strict HashiCorp Vault on a free port: for what differs from OpenBao, and for faults that OpenBao cannot show. Its rules are in
 * vault-rules.ts. Faults switch while it runs, its clock can be put forward, and it counts requests and connections.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { text } from "node:stream/consumers";
import type { VaultLogin, VaultSettings } from "../../src/provider/vault/settings.ts";
import { msFromNow } from "../support/from-now.ts";
import {
  type Call,
  type FakeKey,
  type FakeLogin,
  type FakeState,
  failed,
  invalidToken,
  issueToken,
  newKey,
  type Reply,
  reply,
  rotateKey,
} from "./vault-rules.ts";

/** What comes instead of an answer; or an answer, whose body goes out as it is if it is text. */
export type Fault =
  | "hang"
  | "reset"
  /** Headers and half a body. */
  | "stall"
  | (Reply & { headers?: Record<string, string> });

export interface FakeVault extends FakeState {
  readonly addr: string;
  /** In the order of arrival, those with a fault too. */
  readonly calls: Call[];
  /** Made since the start. */
  connections(): number;
  openConnections(): number;
  /** What `path` is answered with from now on; undefined: as it should be. */
  fault(path: string | RegExp, fault: Fault | undefined): void;
  /** The same for the next call alone. */
  once(path: string | RegExp, fault: Fault): void;
  /** How often it was called. */
  count(path: string | RegExp): number;
  /** Resolves when it has been called so often. */
  called(path: string | RegExp, times?: number): Promise<void>;
  /** Resolves when no connection is open. */
  left(): Promise<void>;
  advance(ms: number): void;
  key(path: string): FakeKey;
  rotate(path: string): void;
  /** A token with exactly this policy, the one that the service needs unless told otherwise. */
  token(login?: Partial<FakeLogin>): string;
  settings(login?: VaultLogin, over?: Partial<VaultSettings>): VaultSettings;
  close(): Promise<void>;
}

export const transitPolicy: ReadonlyMap<string, readonly string[]> = new Map([
  ["transit/encrypt/fluo", ["update"]],
  ["transit/decrypt/fluo", ["update"]],
  ["transit/keys/fluo", ["read"]],
]);

const standardLogin = { ttlSeconds: 3600, maxSeconds: 86_400, renewable: true, policy: transitPolicy };

/** With a key `transit/keys/fluo`, roles for AppRole and Kubernetes, and the namespace `team` with a key of the same name. */
export async function startFakeVault(tls?: { key: Buffer; cert: Buffer }): Promise<FakeVault> {
  const calls: Call[] = [];
  const faults = new Map<string, [RegExp, Fault]>();
  /** Those for one call. */
  const passing = new Set<string>();
  const sockets = new Set<Socket>();
  const waiting = new Set<() => void>();
  let connections = 0;
  let aheadMs = 0;
  const now = () => msFromNow(aheadMs);
  const state: FakeState = {
    keys: new Map(["transit/keys/fluo", "team/transit/keys/fluo"].map((path) => [path, newKey({ now })])),
    tokens: new Map(),
    logins: new Map([
      ["auth/approle/login", { ...standardLogin, secrets: { role_id: "role", secret_id: "secret" } }],
      ["auth/kubernetes/login", { ...standardLogin, secrets: { role: "fluo", jwt: "e30.e30.sig" } }],
    ]),
    namespaces: new Set(["", "team"]),
    unknownParameters: new Set(),
    deadTokenText: invalidToken,
    now,
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = await read(request);
    calls.push(call);
    const [id, [, fault]] = [...faults].find(([, [path]]) => path.test(call.path)) ?? ["", []];
    if (passing.delete(id)) faults.delete(id);
    if (fault === "reset") request.socket.resetAndDestroy();
    else if (fault === "stall") response.writeHead(200, { "content-length": 100 }).write('{"data":');
    else if (fault !== "hang") send(now(), response, fault ?? strictly(request, () => reply(state, call)));
    for (const look of waiting) look();
  }

  const server: Server = tls === undefined ? createServer(serve) : createSecureServer(tls, serve);
  server.on(tls === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => {
      sockets.delete(socket);
      for (const look of waiting) look();
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const addr = `${tls === undefined ? "http" : "https"}://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function until(done: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => done() && resolve();
    waiting.add(look);
    look();
    await promise;
    waiting.delete(look);
  }
  const key = (path: string) => state.keys.get(path)!;
  const count = (path: string | RegExp) => calls.filter((call) => pattern(path).test(call.path)).length;
  const token = (login: Partial<FakeLogin> = {}) => issueToken(state, { ...standardLogin, ...login })[0];
  return Object.assign(state, {
    addr,
    calls,
    connections: () => connections,
    openConnections: () => sockets.size,
    fault(path: string | RegExp, fault: Fault | undefined) {
      if (fault === undefined) faults.delete(String(path));
      else faults.set(String(path), [pattern(path), fault]);
    },
    count,
    once(path: string | RegExp, fault: Fault) {
      faults.set(String(path), [pattern(path), fault]);
      passing.add(String(path));
    },
    called: (path: string | RegExp, times = 1) => until(() => count(path) >= times),
    left: () => until(() => sockets.size === 0),
    advance(ms: number) {
      aheadMs += ms;
    },
    key,
    rotate: (path: string) => rotateKey(state, key(path)),
    token,
    settings: (login?: VaultLogin, over?: Partial<VaultSettings>): VaultSettings => ({
      name: "vault",
      addr,
      namespace: undefined,
      caFile: undefined,
      mount: "transit",
      key: "fluo",
      login: login ?? { method: "token", token: token(), tokenFile: undefined },
      ...over,
    }),
    async close() {
      server.close();
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  });
}

function pattern(path: string | RegExp): RegExp {
  return typeof path === "string" ? new RegExp(`^${path}$`) : path;
}

async function read(request: IncomingMessage): Promise<Call> {
  const { method = "", url = "", headers } = request;
  const body = await text(request);
  return {
    method,
    path: url.replace(/^\/v1\//, ""),
    token: headers["x-vault-token"] as string | undefined,
    namespace: (headers["x-vault-namespace"] as string | undefined) ?? "",
    body: body === "" ? {} : JSON.parse(body),
  };
}

/** https://developer.hashicorp.com/vault/api-docs#the-x-vault-request-header, as with require_request_header. */
function strictly({ url = "", headers }: IncomingMessage, answer: () => Reply): Reply {
  if (!url.startsWith("/v1/")) return failed(404);
  if (headers["x-vault-request"] !== "true") return failed(412, "missing X-Vault-Request header");
  return answer();
}

function send(
  nowMs: number,
  response: ServerResponse,
  { status, body, headers }: Reply & { headers?: Record<string, string> },
): void {
  const json = typeof body !== "string";
  response.writeHead(status, {
    date: new Date(nowMs).toUTCString(),
    "content-type": json ? "application/json" : "text/html",
    ...headers,
  });
  response.end(body === undefined ? undefined : json ? JSON.stringify(body) : body);
}
