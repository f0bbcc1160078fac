/** The composition root: what the service is made of, in the order in which it starts. What was started is closed in the reverse order. */
import { createAuditObserver, observedRotation } from "./audit/observer.ts";
import { startAuditTrail } from "./audit/start.ts";
import { startBackups } from "./backup/start.ts";
import { createBatchPool } from "./batch/pool/pool.ts";
import type { Config } from "./config/config.ts";
import { startHealth } from "./health/start.ts";
import { createLosses } from "./integrity/losses.ts";
import { createIntegrity } from "./integrity/start.ts";
import { createBackground } from "./keys/background.ts";
import { createTimeWitness } from "./keys/destruction/time-witness.ts";
import { createKeyring } from "./keys/keyring.ts";
import { createLifecycle } from "./keys/lifecycle.ts";
import { samplesIn } from "./keys/rewrapping.ts";
import { createRotation } from "./keys/rotation/rotate.ts";
import { startStorage } from "./keys/store-key/start.ts";
import { warmAhead } from "./keys/warm.ts";
import { startMetrics } from "./metrics/start.ts";
import { type ServiceProcess, startProcess } from "./process.ts";
import { providerClock } from "./provider-keys/clock.ts";
import { scheduleProbes } from "./provider-keys/probing.ts";
import { startProviders } from "./provider-keys/start.ts";
import { realTime, type Time } from "./runtime/time.ts";
import { createServices } from "./service/compose.ts";
import { closeInBackground, shutDown } from "./shutdown.ts";
import { startDirectory } from "./store/directory/hold.ts";
import { rotationRecorder } from "./telemetry/instruments.ts";
import { createTenantLogs } from "./tenant-log/logs.ts";
import { startAccess } from "./transport/access.ts";
import { startServers } from "./transport/start.ts";
import { startRewriting } from "./upgrade/rewriting.ts";
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
  const { servers, providers, access, ending } = await startParts(config, running, parts).catch((error) => {
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
    reloadFiles: access.reload,
    stop() {
      stopping ??= shutDown({
        ...ending,
        servers,
        log: running.log,
        time: running.time,
        delayMs: config.shutdownDelayMs,
        rest: () => started.disposeAsync(),
      });
      return stopping;
    },
  };
}

async function startParts(config: Config, running: ServiceProcess, parts: AsyncDisposableStack) {
  const { log, time, instruments, alarm } = running;

  const { isNew } = parts.adopt(startDirectory(config.dataDirectory, log), close);
  const providers = parts.adopt(await startProviders(config, running), close);
  const storage = parts.adopt(
    await startStorage(config, { providerKeys: providers.keys, mayBeNew: isNew, ...running }),
    close,
  );
  const losses = createLosses();
  const store = losses.refusedIn(storage.store);
  await providers.probeOpeners(samplesIn(store, providers.keys));
  const audit = parts.adopt(startAuditTrail({ store, ...running }), close);
  const access = parts.adopt(await startAccess(config, { store, ...running }), close);

  const keyring = parts.adopt(
    createKeyring({ store, providerKeys: providers.keys, time, ...config.cache, ...config.limits }),
    close,
  );
  providers.subscribe(keyring); // a secret is forgotten when the key that wrapped it is refused
  const probes = parts.adopt(scheduleProbes({ keys: providers.probed, store, time, log }), close);
  const pool = parts.adopt(createBatchPool(config), close);
  const logs = createTenantLogs({ store, keyring, pool, issuer: config.issuer, time });
  const observer = createAuditObserver({ audit, alarm, instruments });
  const rotation = createRotation({
    store,
    keyring,
    handover: logs.handover,
    hasOwnKey: (tenantId) => providers.tenantProviderKeys.keyOf(tenantId) !== undefined,
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
    needsTwo: () => access.policy?.inForce().policy.twoPersonDestruction === true,
  });

  const backups = parts.adopt(startBackups({ ...config, settings: config.store, store, ...running }), close);
  const integrity = parts.adopt(createIntegrity({ store, losses, keyring, ...running }), close);
  const health = parts.adopt(
    await startHealth({
      providers,
      store,
      witness,
      audit,
      ...running,
      notices: config.warnings,
      rotation: config.rotation,
      problems: () => [...storage.problems(), ...integrity.problems(), ...backups.problems()],
      accessRemarks: () => [
        ...integrity.remarks(),
        ...probes.remarks(),
        ...access.remarks(),
        ...(config.profile === "prod" ? storage.heads.remarks() : []),
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

  const keys = { keyring, rotation, lifecycle, witness, background };
  const shared = { providers, storage: { ...storage, store }, access, keys, health, integrity, audit, pool };
  parts.adopt(startMetrics(config, { ...shared, backups }, running), close);
  const services = createServices(config, { ...shared, observer, logs }, running);
  await warmAhead({ keyring, store, log, time, ...config.cache });

  const servers = parts.adopt(
    await startServers(config, { access, services, observer, health, audit, store }, running),
    close,
  );
  log.info({ start_ms: Math.round(time.monotonicMs()) }, "serving");
  background.start();
  const rewriting = parts.adopt(startRewriting({ store, time, log }), (part) => closeInBackground(part, time));
  integrity.start();
  return { servers, providers, access, ending: { health, background, rewriting, integrity, audit } };
}

/** One line for the log; the command that starts the service says what to do. */
function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0]!;
}

function close(part: { close(): void | Promise<void> }): void | Promise<void> {
  return part.close();
}
