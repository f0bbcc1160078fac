/**
 * A small, strict Cloud KMS on a free port, with the services that its access tokens come from. Its rules are in gcp-kms-rules.ts and
 * gcp-tokens.ts. Faults switch while it runs, and it counts requests and connections. With a certificate it is a proxy to itself as well,
 * for tokens that come from oauth2.googleapis.com and no other place.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, connect, type Server, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import type { GcpSettings } from "../../src/provider/gcp/settings.ts";
import { msFromNow } from "../support/from-now.ts";
import { type FakeKey, failed, kmsReply, newVersion, type Reply, rotateKey } from "./gcp-kms-rules.ts";
import { issue, newTokenState, type TokenState, tokenReply } from "./gcp-tokens.ts";

/** What comes instead of an answer; or an answer; or the right one with other members, of which undefined drops one. */
export type Fault =
  | "hang"
  | "reset"
  | "stall"
  | Reply
  | { change: Record<string, unknown> }
  | { request: (body: Body) => Body };

type Body = Record<string, unknown>;

export const metadataToken = /service-accounts\/default\/token/;

export interface GcpCall {
  method: string;
  path: string;
  token: string | undefined;
  headers: IncomingMessage["headers"];
  body: Body;
  form: URLSearchParams;
}

export interface GcpKmsFake extends TokenState {
  readonly url: string;
  /** The same over TLS, where there is a certificate. */
  readonly secureUrl: string;
  /** As GCE_METADATA_HOST has it. */
  readonly host: string;
  /** In the order of arrival, those with a fault too. */
  readonly calls: GcpCall[];
  readonly denied: Set<string>;
  /** Made since the start, for calls to keys. */
  connections(): number;
  /** Of those, how many there are. */
  openConnections(): number;
  createKey(over?: Partial<FakeKey> & { id?: string; protectionLevel?: string }): FakeKey;
  rotate(key: FakeKey): void;
  /** What paths that fit are answered with from now on; undefined: as they should be. */
  fault(path: RegExp, fault: Fault | undefined): void;
  /** Only the next of them. */
  once(path: RegExp, fault: Fault): void;
  count(path: RegExp): number;
  /** Resolves when it has been called so often. */
  called(path: RegExp, times?: number): Promise<void>;
  /** Resolves when it has no connection any more for calls to keys, and owes nobody an answer. */
  left(): Promise<void>;
  settings(key: FakeKey, over?: Partial<GcpSettings>): GcpSettings;
  close(): Promise<void>;
}

export async function startGcpKms(tls?: { key: Buffer; cert: Buffer }): Promise<GcpKmsFake> {
  const calls: GcpCall[] = [];
  const faults = new Map<string, { path: RegExp; fault: Fault; isOnce: boolean }>();
  const sockets = new Set<Socket>();
  const waiting = new Set<() => void>();
  const keys = new Map<string, FakeKey>();
  const denied = new Set<string>();
  const tokens = newTokenState();
  const ofCalls = new Set<Socket>();
  let connections = 0;
  let owed = 0;

  function faultOf({ path }: GcpCall): Fault | undefined {
    const [name, found] = [...faults].find(([, each]) => each.path.test(path)) ?? [];
    if (found?.isOnce) faults.delete(name!);
    return found?.fault;
  }

  function answer(call: GcpCall): Reply {
    const reply = tokenReply(tokens, call);
    if (reply !== undefined) return reply;
    // https://cloud.google.com/apis/design/errors#http_mapping; the reason is google.api.ErrorReason's.
    const isKnown = (tokens.tokens.get(call.token ?? "") ?? 0) > msFromNow(0);
    if (isKnown) return kmsReply({ keys, denied }, call.method, call.path, call.body);
    const info = {
      "@type": "type.googleapis.com/google.rpc.ErrorInfo",
      reason: "ACCESS_TOKEN_EXPIRED",
      domain: "googleapis.com",
    };
    return failed(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", [info]);
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = await read(request);
    calls.push(call);
    owed += 1;
    response.once("close", () => {
      owed -= 1;
      for (const look of [...waiting]) look();
    });
    if (call.path.startsWith("/v1/projects/") && !ofCalls.has(request.socket)) {
      ofCalls.add(request.socket);
      connections += 1;
    }
    const fault = faultOf(call);
    if (fault === "reset") request.socket.resetAndDestroy();
    else if (fault === "stall") response.writeHead(200, { "content-length": 100 }).write('{"plaintext":');
    else if (fault === undefined) send(response, answer(call));
    else if (fault !== "hang") send(response, altered(call, fault, answer));
    for (const look of [...waiting]) look();
  }

  async function listening<S extends Server>(server: S, event: string): Promise<number> {
    server.on(event, (socket: Socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.once("close", () => {
        sockets.delete(socket);
        ofCalls.delete(socket);
        for (const look of [...waiting]) look();
      });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    return (server.address() as AddressInfo).port;
  }

  async function until(isSo: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => isSo() && resolve();
    waiting.add(look);
    look();
    await promise;
    waiting.delete(look);
  }

  const server = createServer(serve);
  const host = `127.0.0.1:${await listening(server, "connection")}`;
  const secure = tls === undefined ? undefined : createSecureServer(tls, serve);
  const securePort = secure === undefined ? 0 : await listening(secure, "secureConnection");
  for (const each of [server, secure]) if (each !== undefined) each.keepAliveTimeout = 600_000; // who connects, ends it
  server.on("connect", (_request, socket: Socket) => {
    const through = connect(securePort, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      through.pipe(socket).pipe(through);
    });
    through.on("error", () => socket.destroy());
  });

  const count = (path: RegExp) => calls.filter((call) => path.test(call.path)).length;
  return Object.assign(tokens, {
    url: `http://${host}`,
    secureUrl: `https://127.0.0.1:${securePort}`,
    host,
    calls,
    denied,
    connections: () => connections,
    openConnections: () => ofCalls.size,
    createKey({ id = "fluo", protectionLevel = "SOFTWARE", ...over } = {}) {
      const name = `projects/audit-1/locations/europe-west1/keyRings/kms/cryptoKeys/${id}`;
      const versions = new Map([[1, newVersion(protectionLevel)]]);
      const key: FakeKey = {
        name,
        purpose: "ENCRYPT_DECRYPT",
        versions,
        primary: 1,
        rotationPeriod: "7776000s",
        importOnly: false,
        ...over,
      };
      keys.set(key.name, key);
      return key;
    },
    rotate: rotateKey,
    fault(path, fault) {
      if (fault === undefined) faults.delete(String(path));
      else faults.set(String(path), { path, fault, isOnce: false });
    },
    once(path, fault) {
      faults.set(String(path), { path, fault, isOnce: true });
    },
    count,
    called: (path, times = 1) => until(() => count(path) >= times),
    left: () => until(() => ofCalls.size === 0 && owed === 0),
    settings: (key, over) => ({
      name: "gcp",
      key: key.name,
      endpoint: `http://${host}`,
      credentialsFile: undefined,
      ...over,
    }),
    async close() {
      for (const each of [server, secure]) each?.close();
      for (const socket of sockets) socket.destroy();
      if (server.listening) await once(server, "close");
    },
  } satisfies Omit<GcpKmsFake, keyof TokenState>);
}

export { issue };

async function read(request: IncomingMessage): Promise<GcpCall> {
  const { method = "", url = "", headers } = request;
  const body = await text(request);
  const isJson = headers["content-type"]?.startsWith("application/json") ?? false;
  return {
    method,
    path: url,
    token: headers.authorization?.replace(/^Bearer /, ""),
    headers,
    body: isJson && body !== "" ? JSON.parse(body) : {},
    form: new URLSearchParams(isJson ? "" : body),
  };
}

function altered(call: GcpCall, fault: Exclude<Fault, string>, answer: (call: GcpCall) => Reply): Reply {
  if ("request" in fault) return answer({ ...call, body: fault.request(call.body) });
  if (!("change" in fault)) return fault;
  const right = answer(call);
  return { ...right, body: { ...(right.body as Body), ...fault.change } };
}

/** Google writes JSON with line breaks. */
function send(response: ServerResponse, { status, body, headers }: Reply): void {
  const isJson = typeof body !== "string";
  response.writeHead(status, {
    "content-type": isJson ? "application/json; charset=UTF-8" : "text/html; charset=UTF-8",
    ...headers,
  });
  response.end(body === undefined ? undefined : isJson ? JSON.stringify(body, null, 2) : body);
}
