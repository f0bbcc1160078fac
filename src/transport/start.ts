/** Both servers, for the same calls: bound one after the other, and closed together. */
import type { Logger } from "pino";
import type { AuditObserver } from "../audit/observer.ts";
import type { HealthMonitor } from "../health/monitor.ts";
import type { Time } from "../runtime/time.ts";
import type { Services } from "../service/compose.ts";
import type { Telemetry } from "../telemetry/start.ts";
import type { Door } from "./authenticate.ts";
import type { Budget } from "./budget.ts";
import { type Calls, createCalls } from "./pipeline.ts";
import type { Connections } from "./connections/connections.ts";
import { createGrpcHealth } from "./grpc/health.ts";
import { logWordsOfGrpc } from "./grpc/library-log.ts";
import { listenGrpc } from "./grpc/server.ts";
import { listenHttp } from "./http/server.ts";
import type { Tls } from "./tls.ts";
import { keyAdminService, kmsService, logService } from "./services.ts";

export interface ServerSettings {
  readonly host: string;
  /** 0 for any that is free. */
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly httpClientCertificates: boolean;
  readonly allowedOrigins: readonly string[];
  readonly shutdownGraceMs: number;
}

export interface ServerParts {
  /** Of both ports together. */
  budget: Budget;
  connections: Connections;
  services: Services;
  observer: AuditObserver;
  health: HealthMonitor;
  telemetry: Telemetry;
  log: Logger;
  time: Time;
  /** Undefined where nobody is authenticated. */
  door: Door | undefined;
  tls: Tls | undefined;
}

export interface StartedServers {
  calls: Pick<Calls, "route" | "refuse">;
  grpcPort: number;
  httpPort: number;
  /** Each answer of HTTP/1.1 ends its connection from now on. A connection of gRPC goes on until {@link close}. */
  leave(): void;
  /** Takes no new call and ends when those that run are answered, at the latest after the grace of a shutdown. Closes once. */
  close(): Promise<void>;
}

export async function startServers(settings: ServerSettings, parts: ServerParts): Promise<StartedServers> {
  const { budget, connections, services, observer, health, telemetry, log, time, door, tls } = parts;
  const { instruments, tracer, servePrometheus: serveMetrics } = telemetry;
  logWordsOfGrpc(log);
  const served = [
    kmsService(services.kms, services.streams),
    keyAdminService(services.keyAdmin),
    logService(services.log),
  ];
  const calls = createCalls({
    services: served,
    observer,
    budget,
    instruments,
    tracer,
    log,
    time,
  });
  const binding = {
    connections,
    host: settings.host,
    tls,
    requestCert: door !== undefined,
    graceMs: settings.shutdownGraceMs,
    time,
    door,
  };

  let isLeaving = false;
  await using bound = new AsyncDisposableStack();
  const grpc = bound.use(
    await listenGrpc(calls, { ...binding, port: settings.grpcPort, health: createGrpcHealth(health) }),
  );
  const http = await listenHttp(calls, {
    ...binding,
    port: settings.httpPort,
    grpcAddress: grpc.address,
    grpcPort: grpc.port,
    requestCert: binding.requestCert && settings.httpClientCertificates,
    handlers: services.kms,
    logs: services.log,
    health,
    serveMetrics,
    providerName: services.providerName,
    loopbackOnly: door === undefined,
    allowedOrigins: settings.allowedOrigins,
    isLeaving: () => isLeaving,
  });
  bound.move();
  log.info(`gRPC on ${grpc.address}`);
  log.info(`Connect, health, metrics and administration on ${tls ? "https" : "http"}://${http.address}`);
  let closing: Promise<unknown> | undefined;
  return {
    calls,
    grpcPort: grpc.port,
    httpPort: http.port,
    leave() {
      isLeaving = true;
    },
    async close() {
      if (closing === undefined) connections.drain();
      closing ??= Promise.all([grpc, http].map((server) => server[Symbol.asyncDispose]()));
      await closing;
    },
  };
}
