/** The composition root: what the service is made of, in the order in which it starts. What was started is closed in the reverse order. */
import { realTime, type Time } from "./runtime/time.ts";
import { createAlarm, type StartedAlarm } from "./alarm.ts";
import { createAuditObserver, observedRotation } from "./audit/observer.ts";
import { startAuditTrail } from "./audit/start.ts";
import type { AuditTrail } from "./audit/trail.ts";
import type { AuthenticationParts } from "./auth/start.ts";
import { startBackups } from "./backup/start.ts";
import { createBatchPool } from "./batch/pool/pool.ts";
import type { Config } from "./config/config.ts";
import type { HealthMonitor } from "./health/monitor.ts";
import { startHealth } from "./health/start.ts";
import { createLosses } from "./integrity/losses.ts";
import { createIntegrity } from "./integrity/start.ts";
import { limitNotices } from "./limits/notices.ts";
import { createLimitLog } from "./limits/log.ts";
import { createBackground } from "./keys/background.ts";
import { createKeyring } from "./keys/keyring.ts";
import { samplesIn } from "./keys/rewrapping.ts";
import { createLifecycle } from "./keys/lifecycle.ts";
import { createRotation } from "./keys/rotation/rotate.ts";
import { openUnlockedStore } from "./keys/store-key/open.ts";
import { createTimeWitness } from "./keys/destruction/time-witness.ts";
import { warmAhead } from "./keys/warm.ts";
import { observeService } from "./metrics/observe.ts";
import { type ServiceProcess, startProcess } from "./process.ts";
import { providerClock } from "./provider-keys/clock.ts";
import { scheduleProbes } from "./provider-keys/probing.ts";
import { startProviders } from "./provider-keys/start.ts";
import { createServices, type Services } from "./service/compose.ts";
import { startGcTime } from "./runtime/gc-time.ts";
import { startLoopLag } from "./runtime/loop-lag.ts";
import { startHeads } from "./store/heads/keeper.ts";
import { placeOf } from "./store/heads/place.ts";
import { holdDirectory } from "./store/directory/hold.ts";
import { heldLeases } from "./store/held-leases.ts";
import type { Store } from "./store/store.ts";
import { observedStore } from "./store/observed-store.ts";
import { rotationRecorder, storeRecorder } from "./telemetry/instruments.ts";
import { createTenantLogs } from "./tenant-log/logs.ts";
import { createBudget } from "./transport/budget.ts";
import { closingOf } from "./transport/connections/closing.ts";
import { type ConnectionsParts, createConnections } from "./transport/connections/connections.ts";
import { policyDoor } from "./transport/policy-door.ts";
import { type StartedServers, startServers } from "./transport/start.ts";
import { startTls } from "./transport/tls.ts";
import { startRewriting } from "./upgrade/rewriting.ts";
import { closeInBackground, shutDown } from "./shutdown.ts";
import { serviceName } from "./version.ts";

export interface RunningServer {
  grpcPort: number;
  httpPort: number;
  /** Resolves when the log so far is written, so that what is printed next follows it. */
  logged(): Promise<void>;
  /** Puts the provider keys of tenants of another configuration into effect; nothing else of it. */
  replaceTenantProviderKeys(config: Pick<Config, "tenantProviderKeys" | "warnings">): Promise<void>;
  /** Tells whether a configuration that was read anew was refused, so that the former one holds. */
  configurationRefused(isRefused: boolean): void;
  /** Reads the policy and the service's own certificate anew, where there are any. */
  reloadFiles(): Promise<void>;
  /** Serves on for `fluo.kms.shutdown.delay`, drains within `fluo.kms.shutdown.grace`, then closes everything. */
  stop(): Promise<void>;
}

export async function startServer(config: Config, time: Time = realTime): Promise<RunningServer> {
  await using parts = new AsyncDisposableStack();
  let lastLine: string | undefined;
  const running = parts.adopt(await startProcess(config, time), (each) => each.close(lastLine));
  const { servers, providers, health, background, rewriting, integrity, audit, policy, tls } = await startParts(
    config,
    running,
    parts,
  ).catch((error) => {
    running.log.error({ reason: reasonOf(error) }, "the start failed: what was started is closed");
    throw error;
  });
  const started = parts.move();
  lastLine = "stopped";
  let stopping: Promise<void> | undefined;
  return {
    grpcPort: servers.grpcPort,
    httpPort: servers.httpPort,
    logged: running.logged,
    replaceTenantProviderKeys: providers.replaceTenantProviderKeys,
    configurationRefused: providers.configurationRefused,
    async reloadFiles() {
      await Promise.all([policy?.reload(), tls?.reload()]);
    },
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };

  async function stop(): Promise<void> {
    await shutDown({
      health,
      background,
      rewriting,
      integrity,
      servers,
      audit,
      log: running.log,
      time: running.time,
      delayMs: config.shutdownDelayMs,
      rest: () => started.disposeAsync(),
    });
  }
}

async function startParts(config: Config, { log, time, telemetry }: ServiceProcess, parts: AsyncDisposableStack) {
  const startedAt = time.now();
  const { instruments } = telemetry;
  const alarm = createAlarm(); // a part that notices trouble raises it, and health listens

  const { providers, store, storeId, leases, losses, heads, advice, problems } = await startStore(
    config,
    { telemetry, log, time, alarm },
    parts,
  );
  await providers.probeOpeners(samplesIn(store, providers.keys));
  const audit = parts.adopt(startAuditTrail({ store, log, time, instruments, alarm }), close);
  const { limitLog, connections } = startBounds(config, { log, alarm, time }, parts);
  const { policy, tls } = await startCredentials(config, { store, log, time, alarm, limitLog }, parts);
  const keyring = parts.adopt(
    createKeyring({ store, providerKeys: providers.keys, time, ...config.cache, ...config.limits }),
    close,
  );
  providers.subscribe(keyring); // a secret is forgotten when the key that wrapped it is refused
  const probes = parts.adopt(scheduleProbes({ keys: providers.probed, store, time, log }), close);

  const pool = parts.adopt(createBatchPool(config), close);
  const budget = createBudget(time);
  const logs = createTenantLogs({ store, keyring, pool, issuer: config.issuer, time });
  const observer = createAuditObserver({ audit, alarm, instruments });
  const hasOwnKey = (tenantId: string) => providers.tenantProviderKeys.keyOf(tenantId) !== undefined;
  const rotation = createRotation({
    store,
    keyring,
    handover: logs.handover,
    hasOwnKey,
    time,
    observe: rotationRecorder(instruments),
    ...config.rotation,
  });
  const witness = createTimeWitness({ store, time, second: providerClock(providers.watches[0]!, { time }) });
  const lifecycle = createLifecycle({
    store,
    keyring,
    witness,
    time,
    needsTwo: () => policy?.inForce().policy.twoPersonDestruction === true,
  });
  const backups = parts.adopt(startBackups({ ...config, settings: config.store, store, alarm, log, time }), close);
  const integrity = parts.adopt(createIntegrity({ store, losses, keyring, alarm, log, time }), close);
  const health = parts.adopt(
    await startHealth({
      providers,
      store,
      witness,
      audit,
      alarm,
      log,
      time,
      notices: config.warnings,
      rotation: config.rotation,
      problems: () => [...problems(), ...integrity.problems(), ...backups.problems()],
      accessRemarks: () => [
        ...integrity.remarks(),
        ...probes.remarks(),
        ...limitNotices(limitLog.recent()),
        ...(policy?.remarks() ?? []),
        ...(tls?.remarks(time.now()) ?? []),
        ...(config.profile === "prod" ? heads.remarks() : []),
        ...backups.remarks(),
      ],
    }),
    close,
  );
  const due = observedRotation(rotation, serviceName, observer);
  const background = parts.adopt(
    createBackground({ due, lifecycle, keyring, store, witness, providers, time, log, config }),
    (part) => closeInBackground(part, time),
  );
  const [loopLag, gcTime] = [parts.adopt(startLoopLag(time), close), parts.adopt(startGcTime(), close)];
  observeService(telemetry.meter, {
    health,
    integrity,
    keyring,
    providers,
    store,
    leases,
    heads,
    limitLog,
    connections,
    policy,
    tls,
    time,
    audit,
    witness,
    pool,
    budget,
    maxEntries: config.cache.maxEntries,
    backupIntervalMs: config.backupIntervalMs,
    backups,
    loopLag,
    gcTime,
    failed: (err, metric) => log.error({ err, metric }, "a metric cannot be read"),
  });

  const services = createServices({
    providers,
    store,
    storeId,
    advice,
    audit,
    observer,
    keyring,
    rotation,
    lifecycle,
    pool,
    logs,
    background,
    health,
    integrity,
    heads,
    policy,
    tls,
    config,
    instruments,
    alarm,
    time,
    log,
    startedAt,
  });
  await warmAhead({ keyring, store, log, time, ...config.cache });

  const door = policy && policyDoor({ ...policy, ...config, time, policySha256: () => policy.inForce().sha256 });
  const servers = parts.adopt(
    await startServers(config, { budget, connections, services, observer, health, telemetry, log, time, door, tls }),
    close,
  );
  await startLocalSocket(config, { services, servers, telemetry, health, store, audit, log, time }, parts);
  log.info({ start_ms: Math.round(time.monotonicMs()) }, "serving");
  background.start();
  const rewriting = parts.adopt(startRewriting({ store, time, log }), (part) => closeInBackground(part, time));
  integrity.start();
  return { servers, providers, health, background, rewriting, integrity, audit, policy, tls };
}

interface LocalSocketParts extends Pick<ServiceProcess, "log" | "time" | "telemetry"> {
  services: Services;
  servers: StartedServers;
  health: HealthMonitor;
  store: Store;
  audit: AuditTrail;
}

/** Opened last and closed after the drain: while the service ends it is needed most. */
async function startLocalSocket(
  { localSocket: path }: Config,
  { services, servers, telemetry, ...shared }: LocalSocketParts,
  parts: AsyncDisposableStack,
): Promise<void> {
  if (path === undefined) return;
  const { startLocal } = await import("./transport/local/server.ts");
  const { kms: handlers, providerName } = services;
  const { calls } = servers;
  const own = { path, handlers, providerName, calls, serveMetrics: telemetry.servePrometheus };
  parts.adopt(await startLocal({ ...shared, ...own }), close);
}

/** What bounds callers and connections, and tells what that did. */
function startBounds(
  { connections: settings }: Config,
  { log, alarm, time }: Pick<StoreParts, "log" | "alarm" | "time">,
  parts: AsyncDisposableStack,
) {
  const limitLog = createLimitLog({
    log: (line) => log.warn(line, "a limit acted"),
    changed: alarm.changed,
    now: time.monotonicMs,
  });
  const acted: ConnectionsParts["acted"] = (...closed) => limitLog.acted(...closingOf(...closed));
  const connections = parts.adopt(createConnections({ settings, acted, time }), close);
  return { limitLog, connections };
}

/** Opens the providers, and the store that they unlock. It is not behind its heads file then, and refuses what passes find damaged in it. */
async function startStore(config: Config, started: StoreParts, parts: AsyncDisposableStack) {
  const { telemetry, log, time, alarm } = started;
  const mayBeNew = startDirectory(config, log, parts);
  const providers = parts.adopt(
    await startProviders(config, { instruments: telemetry.instruments, log, time, alarm }),
    close,
  );
  const place = placeOf(config.store, config.heads);
  const { key, id, advice, ...opened } = parts.adopt(
    await openUnlockedStore(config.store, {
      providerKeys: providers.keys,
      heads: place,
      log,
      time,
      changed: alarm.changed,
      mayBeNew,
    }),
    close,
  );
  const { store, ...leases } = heldLeases(
    observedStore(opened.store, storeRecorder(telemetry.instruments), time),
    time.monotonicMs,
  );
  const heads = parts.adopt(
    await startHeads({ store, storeKey: key, place, time, log, changed: alarm.changed }),
    close,
  );
  const losses = createLosses();
  const problems = () => [...opened.problems(), ...heads.problems()];
  return { providers, store: losses.refusedIn(store), storeId: id, leases, losses, heads, advice, problems };
}

/** Holds the data directory, if the service has one. Returns whether its first store is yet to be made. */
function startDirectory({ dataDirectory }: Config, log: StoreParts["log"], parts: AsyncDisposableStack): boolean {
  if (dataDirectory === undefined) return false;
  const { isNew } = parts.adopt(holdDirectory(dataDirectory), close);
  log.info(`keys are kept in ${dataDirectory.directory}${isNew ? ", from this first start on" : ""}`);
  return isNew;
}

interface StoreParts extends Pick<ServiceProcess, "log" | "time" | "telemetry"> {
  alarm: StartedAlarm;
}

/** Starts what proves who callers are, and who the service is. */
async function startCredentials(config: Config, started: AuthenticationParts, parts: AsyncDisposableStack) {
  const { log, alarm, time } = started;
  const policy = await startPolicy(config, started);
  if (policy) parts.adopt(policy, close);
  const tls =
    config.tls &&
    parts.adopt(
      startTls({ files: config.tls, authorities: policy?.inForce(), log, time, changed: alarm.changed }),
      close,
    );
  if (tls) policy?.trustBy(tls.trust);
  return { policy, tls };
}

/** Loaded where there is a policy: a service without one need not wait for what reads policies and tokens. */
async function startPolicy({ policyFile, ...settings }: Config, parts: AuthenticationParts) {
  if (policyFile === undefined) return undefined;
  const { startAuthentication } = await import("./auth/start.ts");
  return startAuthentication({ ...settings, policyFile }, parts);
}

/** One line for the log; the command that starts the service says what to do. */
function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0]!;
}

function close(part: { close(): void | Promise<void> }): void | Promise<void> {
  return part.close();
}
