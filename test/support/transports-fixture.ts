/** Both transports with handlers of the test's making, on free loopback ports, as server.ts puts them together. */
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { pino } from "pino";
import { otlpSettings } from "../../src/config/otlp.ts";
import type { KeyAdminHandlers } from "../../src/service/key-admin/handlers.ts";
import { type KmsHandlers, kmsMethods } from "../../src/service/kms/handlers.ts";
import type { LogHandlers } from "../../src/service/log/handlers.ts";
import { realTime, type Time } from "../../src/runtime/time.ts";
import { startTelemetry } from "../../src/telemetry/start.ts";
import { type AuditObserver, unobserved } from "../../src/audit/observer.ts";
import type { Door } from "../../src/transport/authenticate.ts";
import { type Budget, createBudget } from "../../src/transport/budget.ts";
import { createCalls } from "../../src/transport/pipeline.ts";
import type { Tls } from "../../src/transport/tls.ts";
import type { Condition, HealthMonitor } from "../../src/health/monitor.ts";
import { createGrpcHealth } from "../../src/transport/grpc/health.ts";
import { listenGrpc } from "../../src/transport/grpc/server.ts";
import { listenHttp } from "../../src/transport/http/server.ts";
import { keyAdminService, type KmsStreams, kmsService, logService, type Served } from "../../src/transport/services.ts";
import type { RoomLimits } from "../../src/transport/grpc/http2/stream-room.ts";
import type { StreamTimes } from "../../src/transport/grpc/stream/streams.ts";
import type { Connections } from "../../src/transport/connections/connections.ts";
import { type Answering, withoutUses } from "./audited-handlers.ts";
import { testConnections } from "./test-connections.ts";
import { type ConnectClient, connectClient, type GrpcClient, grpcClient } from "./running-service.ts";

export interface Transports {
  grpc: GrpcClient;
  connect: ConnectClient;
  grpcWeb: ConnectClient;
  grpcAddress: string;
  url: string;
  budget: Budget;
  /** Has the health monitor see this from now on, and say so; it is operational at first. */
  becomes(status: Condition): void;
  /** Has each answer of HTTP end its connection from now on. */
  leave(): void;
  metrics(): Promise<string>;
  /** Lines of the log. */
  logged: readonly string[];
  /** Of gRPC alone. */
  close(graceMs: number): Promise<void>;
  stop(): Promise<void>;
}

export interface TransportOptions {
  budgetBytes?: number;
  admin?: Partial<KeyAdminHandlers>;
  logs?: Partial<LogHandlers>;
  streams?: Partial<KmsStreams>;
  streamTimes?: StreamTimes;
  unread?: RoomLimits;
  arriving?: RoomLimits;
  door?: Door;
  allowedOrigins?: readonly string[];
  /** With it clients are asked for a certificate. */
  tls?: Tls;
  observer?: AuditObserver;
  /** Bounds of a test's own, which closes them. */
  connections?: Connections;
  maxBodyBytes?: number;
  /** Whether the handlers of SignSpan and VerifySpan take wire bytes as they come, and that of SignSpan gives such. */
  bytesSpoken?: boolean;
  /** That of this machine unless another is given. */
  time?: Time;
}

/** Handlers of KmsService that answer, and use no key. */
export type FakeKms = Partial<Answering<KmsHandlers>>;

export async function startTransports(
  answering: FakeKms,
  {
    budgetBytes,
    admin = {},
    logs = {},
    streams = {},
    streamTimes,
    unread,
    arriving,
    bytesSpoken = false,
    door,
    allowedOrigins = [],
    tls,
    observer = unobserved,
    connections = testConnections(),
    maxBodyBytes,
    time = realTime,
  }: TransportOptions = {},
): Promise<Transports> {
  const handlers = withoutUses(answering, kmsMethods) as KmsHandlers;
  const services = [
    kmsService(handlers, streams as KmsStreams),
    keyAdminService(admin as KeyAdminHandlers),
    logService(logs as LogHandlers),
  ];
  const telemetry = await startTelemetry({ version: "test", otlp: otlpSettings({}).otlp }, realTime);
  const logged: string[] = [];
  const budget = createBudget(time, budgetBytes);
  const calls = createCalls({
    services: bytesSpoken ? services.map(speaksBytes) : services,
    instruments: telemetry.instruments,
    tracer: telemetry.tracer,
    log: pino({ level: "info" }, { write: (line: string) => logged.push(line) }),
    observer,
    budget,
    time,
  });
  let status: Condition = "operational";
  let isLeaving = false;
  const listeners: (() => void)[] = [];
  const monitor: HealthMonitor = {
    current: () => ({ status, latencyMs: 0, notices: [], counts: undefined as never }),
    look: async () => monitor.current(),
    drain() {},
    subscribe: (listener) => void listeners.push(listener),
    close() {},
  };
  const at = { host: "127.0.0.1", port: 0, tls, requestCert: tls !== undefined };
  const binding = { ...at, connections, graceMs: 0, time, door };
  const grpcServer = await listenGrpc(calls, {
    ...binding,
    health: createGrpcHealth(monitor),
    ...(streamTimes && { streamTimes }),
    ...(unread && { unread }),
    ...(arriving && { arriving }),
  });
  const grpcPort = grpcServer.port;
  const httpServer = await listenHttp(calls, {
    ...binding,
    handlers,
    logs: logs as LogHandlers,
    grpcAddress: grpcServer.address,
    grpcPort: grpcServer.port,
    health: monitor,
    providerName: "local",
    serveMetrics: telemetry.servePrometheus,
    loopbackOnly: door === undefined,
    allowedOrigins,
    isLeaving: () => isLeaving,
    ...(maxBodyBytes && { maxBodyBytes }),
  });
  const url = `${tls ? "https" : "http"}://${httpServer.address}`;
  const client = grpcClient(`127.0.0.1:${grpcPort}`);
  return {
    grpc: client,
    connect: connectClient(createConnectTransport({ baseUrl: url, httpVersion: "1.1" })),
    grpcWeb: connectClient(createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1" })),
    grpcAddress: `127.0.0.1:${grpcPort}`,
    url,
    budget,
    becomes(next) {
      status = next;
      for (const listener of listeners) listener();
    },
    leave() {
      isLeaving = true;
    },
    logged,
    close: (graceMs) => grpcServer.close(graceMs),
    metrics: async () => (await fetch(`${url}/q/metrics`)).text(),
    async stop() {
      client.close();
      await Promise.all([httpServer.close(0), grpcServer.close(0)]);
      await telemetry.shutdown();
    },
  };
}

function speaksBytes(served: Served): Served {
  const { signSpan, verifySpan } = served.methods;
  if (!signSpan || !verifySpan) return served;
  const decode = (bytes: Uint8Array) => bytes;
  const encode = (bytes: Uint8Array) => bytes;
  const methods = {
    ...served.methods,
    signSpan: { ...signSpan, codec: { decode, encode, own: true } },
    verifySpan: { ...verifySpan, codec: { decode, own: true } },
  };
  return { ...served, methods };
}

/** A handler that answers only when its call's signal aborts, and tells the test of both. */
export function patient() {
  const started = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<unknown>();
  const handler = (_request: unknown, { signal }: { signal: AbortSignal }) =>
    new Promise<never>((_resolve, reject) => {
      const leave = () => {
        aborted.resolve(signal.reason);
        reject(signal.reason);
      };
      if (signal.aborted) leave();
      else signal.addEventListener("abort", leave);
      started.resolve();
    });
  return { handler, started: started.promise, aborted: aborted.promise };
}
