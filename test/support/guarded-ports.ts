/** Both ports with bounded connections on a clock that the test moves, and clients that do nothing by themselves. */
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import type { StreamHandler } from "../../src/call/stream.ts";
import type { Open } from "../../src/transport/authenticate.ts";
import type { ConnectionSettings } from "../../src/limits/connection-settings.ts";
import { newMs } from "../../src/transport/connections/strangers.ts";
import { underPolicy } from "./policy-door.ts";
import { frame } from "./raw-stream.ts";
import { clockedConnections, type ClockedConnections } from "./test-connections.ts";
import { type FakeKms, startTransports, type Transports } from "./transports-fixture.ts";

export interface GuardedPortsOptions {
  handlers: FakeKms;
  signSpans: StreamHandler;
  settings?: Partial<ConnectionSettings> | undefined;
  open?: readonly Open[];
  /** Whether there is a policy, under which `ops` has all roles, and no rule names `bob`. */
  authenticated?: boolean;
}

export interface GuardedPorts extends ClockedConnections, Pick<Transports, "grpcAddress" | "url" | "metrics"> {
  grpc(from?: string): Promise<GrpcConnection>;
  http(from?: string): Promise<HttpConnection>;
  /** Connections that are open, by port and who has them. */
  counts(): Record<string, number>;
  stop(): Promise<void>;
}

interface Closable {
  closed: Promise<void>;
  isClosed(): boolean;
}

export interface OpenedStream {
  stream: ClientHttp2Stream;
  ended: Promise<void>;
  /** Sends no more. */
  end(): void;
}

export interface Sends {
  headers?: Record<string, string>;
  /** Of a message, which is none of the method's if there are any. */
  bytes?: number;
}

export interface GrpcConnection extends Closable {
  session: ClientHttp2Session;
  /** Code of the GOAWAY that came. */
  goaway: Promise<number>;
  /** Gives the status of gRPC. */
  call(method: keyof typeof methods, token?: string, sends?: Sends): Promise<number>;
  /** A stream of which nothing has been sent. */
  begin(method: keyof typeof methods, token?: string): ClientHttp2Stream;
  /** Resolves when the service has the stream. */
  open(method: keyof typeof methods, token?: string): Promise<OpenedStream>;
  /** Watches the health, until the first answer has come. */
  watch(): Promise<OpenedStream>;
}

export interface HttpConnection extends Closable {
  socket: Socket;
  ask(path: string, token?: string): Promise<{ status: number; headers: string[] }>;
}

const methods = {
  Status: `/${KmsService.typeName}/Status`,
  SignSpans: `/${KmsService.typeName}/SignSpans`,
};

const policy = `
version: 1
tokens:
  - { name: ops, sha256: "${"0".repeat(64)}" }
rules:
  - { name: ops, who: { token: ops }, roles: [status, sign], tenants: "*" }
`;
const callers = { ops: { kind: "token", token: "ops" }, bob: { kind: "token", token: "bob" } } as const;

export async function startGuardedPorts(options: GuardedPortsOptions): Promise<GuardedPorts> {
  const { handlers, signSpans, settings, open = ["health"], authenticated = true } = options;
  const bounds = clockedConnections(settings);
  const { connections, clock } = bounds;
  const transports = await startTransports(handlers, {
    connections,
    streams: { signSpans },
    ...(authenticated && { door: underPolicy({ policy, callers, open }).door }),
  });
  const sockets: Socket[] = [];
  /** Resolves when the service has the connection. */
  const dial = async (address: string, localAddress = "127.0.0.1") => {
    clock.ms += newMs;
    const [host, port] = address.split(":") as [string, string];
    const socket = connectTcp({ host, port: Number(port), localAddress }).on("error", () => {});
    sockets.push(socket);
    await once(socket, "connect");
    return socket;
  };
  return {
    ...bounds,
    grpcAddress: transports.grpcAddress,
    url: transports.url,
    metrics: transports.metrics,
    grpc: async (from) => grpcConnection(await dial(transports.grpcAddress, from)),
    async http(from) {
      const { host } = new URL(transports.url);
      const before = openOf(bounds, "http");
      const socket = await dial(host, from);
      // A server of HTTP/1.1 says nothing by itself.
      while (openOf(bounds, "http") === before) await new Promise((resolve) => setImmediate(resolve));
      return httpConnection(socket);
    },
    counts: () =>
      Object.fromEntries(
        connections
          .open()
          .flatMap(({ protocol, state, count }) => (count > 0 ? [[`${protocol} ${state}`, count]] : [])),
      ),
    async stop() {
      for (const socket of sockets) socket.destroy();
      await transports.stop();
      connections.close();
    },
  };
}

function openOf({ connections }: ClockedConnections, wanted: string): number {
  return connections.open().reduce((sum, { protocol, count }) => sum + (protocol === wanted ? count : 0), 0);
}

function closable(socket: Socket): Closable {
  let isClosed = false;
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      isClosed = true;
      resolve();
    });
  });
  return { closed, isClosed: () => isClosed };
}

async function grpcConnection(socket: Socket): Promise<GrpcConnection> {
  const ends = closable(socket);
  const session = connect("http://127.0.0.1", { createConnection: () => socket }).on("error", () => {});
  const goaway = new Promise<number>((resolve) => session.once("goaway", (code) => resolve(code)));
  await once(session, "remoteSettings");
  const request = (path: string, token?: string, headers: Record<string, string> = {}) => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    });
    stream.on("error", () => {}).resume();
    const ended = new Promise<void>((resolve) => stream.once("close", resolve));
    return { stream, ended, end: () => void stream.end() };
  };
  return {
    ...ends,
    session,
    goaway,
    begin: (method, token) => request(methods[method], token).stream,
    call(method, token, { headers, bytes = 0 } = {}) {
      const { stream } = request(methods[method], token, headers);
      stream.end(frame(new Uint8Array(bytes)));
      return new Promise((resolve, reject) => {
        const look = (headers: Record<string, unknown>) => {
          if (headers["grpc-status"] !== undefined) resolve(Number(headers["grpc-status"]));
        };
        stream.once("response", look).once("trailers", look);
        stream.once("close", () => reject(new Error(`no status came: ${stream.rstCode}`)));
      });
    },
    async open(method, token) {
      const opened = request(methods[method], token);
      opened.stream.write(frame(Buffer.from("hello")));
      await once(opened.stream, "response");
      return opened;
    },
    async watch() {
      const opened = request("/grpc.health.v1.Health/Watch");
      opened.stream.end(frame(new Uint8Array()));
      await once(opened.stream, "data");
      return opened;
    },
  };
}

function httpConnection(socket: Socket): HttpConnection {
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error("closed before the answer");
    return value as string;
  };
  return {
    ...closable(socket),
    socket,
    async ask(path, token) {
      const authorization = token === undefined ? "" : `authorization: Bearer ${token}\r\n`;
      socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${authorization}\r\n`);
      let status = await next();
      while (!status.includes("HTTP/1.1 ")) status = await next(); // behind a body
      const headers: string[] = [];
      for (let line = await next(); line !== ""; line = await next()) headers.push(line.toLowerCase());
      return { status: Number(/HTTP\/1.1 (\d+)/.exec(status)![1]), headers };
    },
  };
}
