/** Both transports with handlers of the test's making, on free loopback ports, as server.ts puts them together. */
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { ServerCredentials } from "@grpc/grpc-js";
import { pino } from "pino";
import { otlpSettings } from "../../src/config/otlp.ts";
import type { KeyAdminHandlers } from "../../src/service/key-admin/handlers.ts";
import type { KmsHandlers } from "../../src/service/kms/handlers.ts";
import type { LogHandlers } from "../../src/service/log/handlers.ts";
import { startTelemetry } from "../../src/telemetry.ts";
import { anyone } from "../../src/transport/authenticate.ts";
import { type Budget, createBudget } from "../../src/transport/budget.ts";
import { connectHandler } from "../../src/transport/http/connect.ts";
import { createGrpcServer } from "../../src/transport/grpc/server.ts";
import { createGrpcHealth, type GrpcHealth } from "../../src/transport/grpc/health.ts";
import { httpListener } from "../../src/transport/http/listener.ts";
import { createHttpServer } from "../../src/transport/http/server.ts";
import { keyAdminService, type KmsStreams, kmsService, logService } from "../../src/transport/services.ts";
import type { RoomLimits } from "../../src/transport/grpc/http2/stream-room.ts";
import type { StreamTimes } from "../../src/transport/grpc/stream/streams.ts";
import { callRecorder } from "../../src/transport/call-recorder.ts";
import { type ConnectClient, connectClient, type GrpcClient, grpcClient } from "./running-service.ts";

export interface Transports {
  grpc: GrpcClient;
  connect: ConnectClient;
  grpcWeb: ConnectClient;
  grpcAddress: string;
  url: string;
  budget: Budget;
  health: GrpcHealth;
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
}

export async function startTransports(
  handlers: Partial<KmsHandlers>,
  { budgetBytes, admin = {}, logs = {}, streams = {}, streamTimes, unread }: TransportOptions = {},
): Promise<Transports> {
  const services = [
    kmsService(handlers as KmsHandlers, streams as KmsStreams),
    keyAdminService(admin as KeyAdminHandlers),
    logService(logs as LogHandlers),
  ];
  const telemetry = await startTelemetry({ version: "test", otlp: otlpSettings({}).otlp });
  const logged: string[] = [];
  const recorder = callRecorder({
    instruments: telemetry.instruments,
    tracer: telemetry.tracer,
    log: pino({ level: "info" }, { write: (line: string) => logged.push(line) }),
    services,
  });
  const budget = createBudget(budgetBytes);
  const parts = { services, recorder, budget, caller: anyone };
  const health = createGrpcHealth();
  const grpcServer = createGrpcServer({
    ...parts,
    health,
    ...(streamTimes && { streamTimes }),
    ...(unread && { unread }),
  });
  const grpcPort = await grpcServer.listen("127.0.0.1:0", ServerCredentials.createInsecure());
  const report = { status: "operational", latencyMs: 0, notices: [], counts: undefined as never } as const;
  const httpServer = createHttpServer({
    listener: httpListener({
      ...parts,
      handlers: handlers as KmsHandlers,
      logs: logs as LogHandlers,
      connect: connectHandler({ ...parts, grpcAddress: `127.0.0.1:${grpcPort}` }),
      health: { current: () => report, look: async () => report, drain() {}, subscribe() {}, close() {} },
      providerName: "local",
      serveMetrics: telemetry.servePrometheus,
      loopbackOnly: true,
    }),
    tls: undefined,
    calls: budget.calls,
    recorder,
  });
  const url = `http://127.0.0.1:${await httpServer.listen("127.0.0.1", 0)}`;
  const client = grpcClient(`127.0.0.1:${grpcPort}`);
  return {
    grpc: client,
    connect: connectClient(createConnectTransport({ baseUrl: url, httpVersion: "1.1" })),
    grpcWeb: connectClient(createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1" })),
    grpcAddress: `127.0.0.1:${grpcPort}`,
    url,
    budget,
    health,
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
