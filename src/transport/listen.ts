/** Both servers: bound one after the other, and closed together. */
import { readFileSync } from "node:fs";
import { ServerCredentials } from "@grpc/grpc-js";
import type { Logger } from "pino";
import type { HealthMonitor } from "../health/monitor.ts";
import type { KmsHandlers } from "../service/kms/handlers.ts";
import type { LogHandlers } from "../service/log/handlers.ts";
import type { Telemetry } from "../telemetry.ts";
import { anyone } from "./authenticate.ts";
import { createBudget } from "./budget.ts";
import { callRecorder } from "./call-recorder.ts";
import { createGrpcHealth } from "./grpc/health.ts";
import { createGrpcServer } from "./grpc/server.ts";
import { logWordsOfGrpc } from "./grpc/words.ts";
import { connectHandler } from "./http/connect.ts";
import { httpListener } from "./http/listener.ts";
import { createHttpServer } from "./http/server.ts";
import { keyAdminService, type KmsStreams, kmsService, logService } from "./services.ts";
import type { KeyAdminHandlers } from "../service/key-admin/handlers.ts";

export interface ListenSettings {
  readonly host: string;
  /** 0 for any that is free. */
  readonly grpcPort: number;
  readonly httpPort: number;
  /** PEM files. */
  readonly tls: { readonly certificate: string; readonly key: string } | undefined;
  readonly auth: "none";
  readonly shutdownGraceMs: number;
}

export interface ListenParts {
  services: { kms: KmsHandlers; keyAdmin: KeyAdminHandlers; log: LogHandlers; streams: KmsStreams };
  health: HealthMonitor;
  telemetry: Telemetry;
  providers: { readonly keys: { readonly current: { readonly name: string } } };
  log: Logger;
}

export interface Listening {
  grpcPort: number;
  httpPort: number;
  /** Takes no new call and ends when those that run are answered, at the latest after the grace of a shutdown. */
  close(): Promise<void>;
}

export async function listen(settings: ListenSettings, parts: ListenParts): Promise<Listening> {
  const { host, shutdownGraceMs } = settings;
  const { services: handlers, health, telemetry, providers, log } = parts;
  logWordsOfGrpc(log);
  const services = [
    kmsService(handlers.kms, handlers.streams),
    keyAdminService(handlers.keyAdmin),
    logService(handlers.log),
  ];
  const recorder = callRecorder({ instruments: telemetry.instruments, tracer: telemetry.tracer, log, services });
  const budget = createBudget();
  const tls = settings.tls && { cert: readFileSync(settings.tls.certificate), key: readFileSync(settings.tls.key) };
  const grpcHealth = createGrpcHealth();
  const announce = () => grpcHealth.announce(health.current().status === "down" ? "NOT_SERVING" : "SERVING");
  announce();
  health.subscribe(announce);

  const grpcServer = createGrpcServer({ services, recorder, budget, caller: anyone, health: grpcHealth });
  const credentials = tls
    ? ServerCredentials.createSsl(null, [{ cert_chain: tls.cert, private_key: tls.key }])
    : ServerCredentials.createInsecure();
  const grpcPort = await grpcServer.listen(authority(host, settings.grpcPort), credentials);
  const grpcAddress = authority(host, grpcPort);
  const listener = httpListener({
    handlers: handlers.kms,
    logs: handlers.log,
    connect: connectHandler({ services, recorder, budget, caller: anyone, grpcAddress }),
    recorder,
    caller: anyone,
    health,
    providerName: providers.keys.current.name,
    serveMetrics: telemetry.servePrometheus,
    loopbackOnly: settings.auth === "none",
  });
  const httpServer = createHttpServer({ listener, tls, calls: budget.calls, recorder });
  const httpPort = await httpServer.listen(host, settings.httpPort).catch(async (error) => {
    await grpcServer.close(0);
    throw error;
  });
  log.info(`gRPC on ${grpcAddress}`);
  log.info(`Connect, health, metrics and administration on ${tls ? "https" : "http"}://${authority(host, httpPort)}`);
  return {
    grpcPort,
    httpPort,
    async close() {
      await Promise.all([grpcServer, httpServer].map((server) => server.close(shutdownGraceMs)));
    },
  };
}

function authority(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
