/** The composition root: builds every part in order, by hand, and takes them down in the other order. */
import { readFileSync } from "node:fs";
import { format } from "node:util";
import { ServerCredentials, setLogger } from "@grpc/grpc-js";
import { type Logger, pino } from "pino";
import { createBatchPool } from "./batch/pool/pool.ts";
import { isOfDevelopment } from "./config/checks.ts";
import type { Config } from "./config/config.ts";
import { createKeyring, type Keyring } from "./keys/keyring.ts";
import { createLifecycle } from "./keys/lifecycle.ts";
import { startMaintenance } from "./keys/maintenance.ts";
import { createRewrap } from "./keys/rewrapping.ts";
import { createRotation } from "./keys/rotation/rotate-keys.ts";
import { type MasterKeys, masterKeys, wrappedBy } from "./provider-keys/provider-keys.ts";
import { scheduleRotation } from "./keys/rotation/schedule.ts";
import { unlockStore } from "./keys/store-key.ts";
import { warmCaches } from "./keys/warm.ts";
import { createHandovers } from "./tenant-log/handover.ts";
import { createHeads } from "./tenant-log/believed-head.ts";
import { logReader } from "./tenant-log/log-reader.ts";
import { createSequencer } from "./tenant-log/sequencer.ts";
import { openLogOutput } from "./runtime/log-output.ts";
import type { Provider } from "./provider/provider.ts";
import { startProviders } from "./provider-keys/start.ts";
import { createAuditTrail } from "./audit/trail.ts";
import { verifyAudit } from "./audit/verify-trail.ts";
import { createAuditObserver, observedRotation } from "./audit/observer.ts";
import { auditedKeyAdmin } from "./service/key-admin/audited-handlers.ts";
import { createAlarm } from "./alarm.ts";
import { startHealthMonitor } from "./health/monitor.ts";
import { keyAdminHandlers } from "./service/key-admin/handlers.ts";
import { keyTimer } from "./service/key-timer.ts";
import { kmsHandlers } from "./service/kms/handlers.ts";
import { logHandlers } from "./service/log/handlers.ts";
import { localAdvice } from "./service/kms/validate/recommendations.ts";
import { rewrapRemarks, observedRewrap } from "./service/key-admin/rewrap-handler.ts";
import { signSpans } from "./service/kms/sign-spans.ts";
import { memoryStore } from "./store/sqlite/memory.ts";
import { openStore } from "./store/registry.ts";
import type { Store } from "./store/store.ts";
import { type Instruments, startTelemetry } from "./telemetry.ts";
import { anyone } from "./transport/authenticate.ts";
import { createBudget } from "./transport/budget.ts";
import { connectHandler } from "./transport/http/connect.ts";
import { createGrpcServer } from "./transport/grpc/server.ts";
import { createGrpcHealth } from "./transport/grpc/health.ts";
import { httpListener } from "./transport/http/listener.ts";
import { createHttpServer } from "./transport/http/server.ts";
import { keyAdminService, kmsService, logService } from "./transport/services.ts";
import { callRecorder } from "./transport/call-recorder.ts";
import { step } from "./failpoints.ts";
import { serviceName, version } from "./version.ts";

export interface RunningServer {
  grpcPort: number;
  httpPort: number;
  /** Puts the provider keys of tenants of another configuration into effect; nothing else of it. */
  replaceTenantKeys(config: Pick<Config, "tenantKeys" | "warnings">): Promise<void>;
  /** Drains within `fluo.kms.shutdown.grace`, then closes everything. */
  stop(): Promise<void>;
}

const dayMs = 86_400_000;

export async function startServer(config: Config): Promise<RunningServer> {
  const startedAt = new Date();
  const clock = () => new Date();
  const output = openLogOutput();
  const log = pino({ level: config.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime }, output.stream);
  for (const warning of config.warnings) log.warn(warning);
  logWordsOfGrpc(log);

  const alarm = createAlarm();
  const telemetry = await startTelemetry({ version, otlp: config.telemetry.otlp });
  const { instruments } = telemetry;
  const providers = await startProviders(config, { instruments, log, clock, alarm });
  const { keys, watches, breakers, tenantKeys } = providers;
  const provider = keys.current;
  const onStoreKey: string[] = [];
  const store = await openAndUnlock(config, keys, (advice) => onStoreKey.push(advice)).catch(async (error) => {
    await providers.close();
    throw error;
  });
  for (const advice of onStoreKey) log.warn(advice);
  const audit = createAuditTrail({
    store,
    clock,
    rowsWritten: instruments.auditRows,
    step,
    onProblem(problem, err) {
      if (problem === undefined) log.info("audit rows are written again");
      else log.error({ err }, problem);
      alarm.suspect();
    },
  });
  const keyring = createKeyring({
    store,
    masterKeys: keys,
    clock,
    ttlMs: config.cache.ttlMs,
    publicTtlMs: config.cache.publicTtlMs,
    maxStaleMs: config.cache.maxStaleMs,
    maxEntries: config.cache.maxEntries,
  });
  const pool = createBatchPool();
  const sequencer = createSequencer({
    store,
    heads: createHeads({ store, issuer: config.issuer, clock }),
    keys: keyring,
    pool,
    clock,
  });
  const rotation = createRotation({
    store,
    keyring,
    handover: createHandovers({ store, sequencer, keys: keyring, clock }),
    clock,
    maxAgeMs: config.rotation.maxAgeDays * dayMs,
    maxPerSecond: config.rotation.maxPerSecond,
    observe: (outcome, seconds) => recordRotation(instruments, outcome, seconds),
  });
  const lifecycle = createLifecycle({ store, keyring, clock });
  providers.subscribe(keyring);
  const grpcHealth = createGrpcHealth();
  const health = await startHealthMonitor({
    alarm,
    watches,
    breakers,
    tenantKeys: tenantKeys.all,
    store,
    auditProblem: audit.problem,
    remarks: () => rewrapRemarks(store, keys),
    notices: config.warnings,
    onChange(status, notices) {
      grpcHealth.announce(status === "down" ? "NOT_SERVING" : "SERVING");
      log.info(status === "operational" ? { status } : { status, notices }, `health is ${status}`);
    },
  });
  const observer = createAuditObserver({ audit, alarm, dataLoss: instruments.dataLoss });
  const schedule = config.rotation.enabled
    ? scheduleRotation({
        cron: config.rotation.checkCron,
        rotation: observedRotation(rotation, serviceName, observer),
        store,
        hasOwnKey: (tenantId) => tenantKeys.keyOf(tenantId) !== undefined,
        report: ({ rotated, failed, remaining }) =>
          log.info({ rotated: rotated.length, failed: failed.length, remaining }, "due keys rotated"),
        fail: (err) => log.error({ err }, "rotation of due keys ended early"),
      })
    : undefined;
  const maintenance = startMaintenance({
    store,
    keyring,
    lifecycle,
    clock,
    destroyed: (count) => log.info({ count }, "keys were destroyed whose time had come"),
    fail: (err) => log.warn({ err }, "maintenance of keys is tried again in a minute"),
  });

  const caches = () =>
    Object.entries(keyring.stats()).map(([keyType, stats]) => ({
      keyType,
      maxSize: config.cache.maxEntries,
      ...stats,
    }));
  telemetry.observe({
    caches,
    keys: () => keyCounts(health.current().counts.byPurpose),
    oldestActiveAt: () => health.current().counts.oldestActiveAt,
    lastRotationAt: () => health.current().counts.lastRotationAt,
    breakers: providers.allBreakers,
    providerKeyConditions: () => [
      ...watches.map((watch) => watch.current().condition),
      ...tenantKeys.all().map((key) => key.condition().condition),
    ],
  });

  const logs = logReader({ store, keys: keyring });
  const signing = {
    keyring,
    logs,
    observer,
    keyTimer: keyTimer(instruments),
    spansSigned: instruments.spansSigned,
    clock,
  };
  const handlers = kmsHandlers({
    ...signing,
    audit,
    piiFields: instruments.piiFields,
    issuer: config.issuer,
    health,
    store,
    watches,
    tenantKeys,
    providerOf: providers.usedBy,
    providerName: provider.name,
    version,
    startedAt,
    rotation,
    schedule: {
      enabled: config.rotation.enabled,
      maxAgeDays: config.rotation.maxAgeDays,
      next: () => schedule?.next(),
      last: () => schedule?.last(),
      failed: () => schedule?.failed() ?? 0,
    },
    caches,
    ttlMs: config.cache.ttlMs,
    maxStaleMs: config.cache.maxStaleMs,
    breakers: providers.allBreakers,
    providerCalls: providers.calls,
    prices: config.cost,
    checkMs: config.providerCheckMs,
    countProviderCalls: providers.countCalls,
    probeKeyrings,
    unexpected: (err) => log.error({ err }, "a test of Validate met a bug"),
    recommendations: [...config.warnings.filter(isOfDevelopment), ...(provider.name === "local" ? [localAdvice] : [])],
    faults: [...config.warnings.filter((warning) => !isOfDevelopment(warning)), ...onStoreKey],
  });
  const adminHandlers = auditedKeyAdmin(
    keyAdminHandlers({
      lifecycle,
      rewrap: observedRewrap(createRewrap({ store, masterKeys: keys, keyring, clock }), observer, alarm.suspect),
      current: wrappedBy(provider),
      store,
      verifyAudit: (signal) => verifyAudit(store, signal),
    }),
    observer,
  );
  const readers = logHandlers({ logs, observer });
  const streams = { signSpans: signSpans({ ...signing, pool, sequencer }) };
  const services = [kmsService(handlers, streams), keyAdminService(adminHandlers), logService(readers)];
  const recorder = callRecorder({ instruments, tracer: telemetry.tracer, log, services });
  const budget = createBudget();
  const tls = config.tls && { cert: readFileSync(config.tls.certificate), key: readFileSync(config.tls.key) };

  await warm(config, { keyring, store, log });

  const grpcServer = createGrpcServer({ services, recorder, budget, caller: anyone, health: grpcHealth });
  const credentials = tls
    ? ServerCredentials.createSsl(null, [{ cert_chain: tls.cert, private_key: tls.key }])
    : ServerCredentials.createInsecure();
  const grpcPort = await grpcServer.listen(authority(config.host, config.grpcPort), credentials);
  const grpcAddress = authority(config.host, grpcPort);

  const listener = httpListener({
    handlers,
    logs: readers,
    connect: connectHandler({ services, recorder, budget, caller: anyone, grpcAddress }),
    recorder,
    caller: anyone,
    health,
    providerName: provider.name,
    serveMetrics: telemetry.servePrometheus,
    loopbackOnly: config.auth === "none",
  });
  const httpServer = createHttpServer({ listener, tls, calls: budget.calls, recorder });
  const httpPort = await httpServer.listen(config.host, config.httpPort);
  log.info(`gRPC on ${grpcAddress}`);
  log.info(
    `Connect, health, metrics and administration on ${tls ? "https" : "http"}://${authority(config.host, httpPort)}`,
  );

  log.info({ start_ms: Math.round(performance.now()) }, "serving");

  async function stop(): Promise<void> {
    log.info("draining");
    health.drain();
    const background = [schedule?.stop(), maintenance.stop()];
    await Promise.all([grpcServer, httpServer].map((server) => server.close(config.shutdownGraceMs)));
    await Promise.all(background);
    await audit.close().catch((err) => log.error({ err }, "the last uses were not audited"));
    health.stop();
    keyring.close();
    await pool.close();
    await providers.close();
    await store.close();
    await telemetry.shutdown().catch((err) => log.warn({ err }, "the last telemetry was not delivered"));
    log.info("stopped");
    await output.written();
  }

  return { grpcPort, httpPort, replaceTenantKeys: providers.replaceTenantKeys, stop };
}

async function openAndUnlock(config: Config, keys: MasterKeys, advise: (advice: string) => void): Promise<Store> {
  const locked = await openStore(config.store);
  try {
    return await unlockStore(locked, keys, advise);
  } catch (error) {
    await locked.close();
    throw error;
  }
}

async function warm({ cache }: Config, parts: { keyring: Keyring; store: Store; log: Logger }): Promise<void> {
  if (cache.warm.length === 0) return;
  const { keyring, store, log } = parts;
  const { error, ...warmed } = await warmCaches({ keyring, store, tenants: cache.warm, maxTenants: cache.maxEntries });
  if (error === undefined) log.info(warmed, "keys were loaded ahead of their use");
  else log.warn({ ...warmed, err: error }, "some keys could not be loaded ahead of their use");
}

/** grpc-js would write to stderr by itself, beside the one line that says why a start failed. A caller's metadata stays out of the log. */
function logWordsOfGrpc(log: Logger): void {
  const say =
    (level: "info" | "warn") =>
    (message: unknown, ...rest: unknown[]) =>
      log[level](`grpc-js: ${format(message, ...rest).replace(/(?<=Failed to add metadata entry) .*/s, "")}`);
  setLogger({ error: say("warn"), info: say("info"), debug: say("info") });
}

function recordRotation(instruments: Instruments, outcome: "success" | "failure", seconds: number): void {
  instruments.rotationDuration.record(seconds);
  (outcome === "success" ? instruments.rotationSuccess : instruments.rotationFailures).add(1);
}

function keyCounts(byPurpose: Record<string, Partial<Record<string, number>>>) {
  return Object.entries(byPurpose).flatMap(([purpose, states]) =>
    Object.entries(states).map(([state, count = 0]) => ({ purpose, state, count })),
  );
}

/** Two keyrings over one throw-away store: the second meets the first one's keys with an empty cache. */
function probeKeyrings(provider: Provider): { first: Keyring; second: Keyring; close(): void } {
  const store = memoryStore();
  const keys = masterKeys({ current: provider });
  const [first, second] = [createKeyring({ store, masterKeys: keys }), createKeyring({ store, masterKeys: keys })];
  return {
    first,
    second,
    close() {
      first.close();
      second.close();
    },
  };
}

function authority(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
