/** Both servers, for the same calls: bound one after the other, and drained together. The local socket outlives them. */
import type { Logger } from "pino";
import type { AuditObserver } from "../audit/observer.ts";
import type { HealthMonitor } from "../health/monitor.ts";
import type { Time } from "../runtime/time.ts";
import type { Services } from "../service/compose.ts";
import type { Telemetry } from "../telemetry/start.ts";
import type { AuditTrail } from "../audit/trail.ts";
import type { Store } from "../store/store.ts";
import type { Access } from "./access.ts";
import { createCalls } from "./pipeline.ts";
import { createGrpcHealth } from "./grpc/health.ts";
import { logWordsOfGrpc } from "./grpc/library-log.ts";
import { listenGrpc } from "./grpc/server.ts";
import { listenHttp } from "./http/server.ts";
import { keyAdminService, kmsService, logService } from "./services.ts";

export interface ServerSettings {
  readonly host: string;
  /** 0 for any that is free. */
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly httpClientCertificates: boolean;
  readonly allowedOrigins: readonly string[];
  readonly shutdownGraceMs: number;
  /** Path of the unix socket for operators beside the process. */
  readonly localSocket: string | undefined;
}

export interface ServerParts {
  access: Pick<Access, "budget" | "connections" | "door" | "tls">;
  services: Services;
  observer: AuditObserver;
  health: HealthMonitor;
  /** For changes that are asked for over the local socket. */
  audit: AuditTrail;
  store: Store;
}

export interface ServerProcess {
  telemetry: Telemetry;
  log: Logger;
  time: Time;
}

export interface StartedServers {
  grpcPort: number;
  httpPort: number;
  /** Each answer of HTTP/1.1 ends its connection from now on. A connection of gRPC goes on until {@link drain}. */
  leave(): void;
  /** Takes no new call and ends when those that run are answered, at the latest after the grace of a shutdown. Once. */
  drain(): Promise<void>;
  /** Closes the local socket, which serves until all else has drained, and drains. */
  close(): Promise<void>;
}

export async function startServers(
  settings: ServerSettings,
  parts: ServerParts,
  { telemetry, log, time }: ServerProcess,
): Promise<StartedServers> {
  const { access, services, observer, health, audit, store } = parts;
  const { budget, connections, door, tls } = access;
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
  let draining: Promise<unknown> | undefined;
  async function drain(): Promise<void> {
    if (draining === undefined) connections.drain();
    draining ??= Promise.all([grpc, http].map((server) => server[Symbol.asyncDispose]()));
    await draining;
  }
  await using started = new AsyncDisposableStack();
  started.defer(drain);
  log.info(`gRPC on ${grpc.address}`);
  log.info(`Connect, health, metrics and administration on ${tls ? "https" : "http"}://${http.address}`);
  if (settings.localSocket !== undefined) {
    const { startLocal } = await import("./local/server.ts");
    const local = await startLocal({
      path: settings.localSocket,
      calls,
      handlers: services.kms,
      providerName: services.providerName,
      serveMetrics,
      health,
      store,
      audit,
      log,
      time,
    });
    started.defer(local.close);
  }
  const all = started.move();
  return {
    grpcPort: grpc.port,
    httpPort: http.port,
    leave() {
      isLeaving = true;
    },
    drain,
    close: () => all.disposeAsync(),
  };
}
