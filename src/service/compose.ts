/** Every handler of the API, each given what it needs of the service's parts. */
import type { AuditTrail } from "../audit/trail.ts";
import { type AuditObserver, observedRewrap } from "../audit/observer.ts";
import { verifyAudit } from "../audit/verify-trail.ts";
import type { Logger } from "pino";
import type { BatchPool } from "../batch/pool/pool.ts";
import type { Alarm } from "../alarm.ts";
import type { StreamHandler } from "../call/stream.ts";
import type { StartedHealth } from "../health/start.ts";
import type { Integrity } from "../integrity/start.ts";
import type { Background } from "../keys/background.ts";
import { cachesOf, type Keyring } from "../keys/keyring.ts";
import type { Lifecycle } from "../keys/lifecycle.ts";
import { createRewrap } from "../keys/rewrapping.ts";
import type { Storage } from "../keys/store-key/start.ts";
import type { Rotation } from "../keys/rotation/rotation.ts";
import { wrappedBy } from "../provider-keys/provider-keys.ts";
import type { StartedProviders } from "../provider-keys/start.ts";
import { createTurns } from "../runtime/turns/one-at-a-time.ts";
import { type Notice, notice } from "../notices.ts";
import type { Instruments } from "../telemetry/instruments.ts";
import { version } from "../version.ts";
import type { TenantLogs } from "../tenant-log/logs.ts";
import { bounded } from "./at-once.ts";
import { type KeyAdminHandlers, keyAdminHandlers } from "./key-admin/handlers.ts";
import { keyTimer } from "./key-timer.ts";
import type { AuthenticationParts } from "./kms/authentication-status.ts";
import type { Prices } from "./kms/cost.ts";
import { type KmsHandlers, kmsHandlers } from "./kms/handlers.ts";
import { signSpans } from "./kms/sign-spans.ts";
import { localAdvice, type RecommendationParts } from "./kms/validate/recommendations.ts";
import { probeKeyrings } from "./kms/validate/probe-keyrings.ts";
import { type LogHandlers, logHandlers } from "./log/handlers.ts";
import type { Time } from "../runtime/time.ts";

export interface ServicesParts {
  providers: StartedProviders;
  storage: Storage;
  audit: AuditTrail;
  observer: AuditObserver;
  keys: KeyParts;
  pool: BatchPool;
  logs: TenantLogs;
  health: StartedHealth;
  integrity: Pick<Integrity, "status">;
  access: {
    /** Undefined if nobody is authenticated. */
    policy: (NonNullable<AuthenticationParts["policy"]> & { advice: RecommendationParts["policyAdvice"] }) | undefined;
    tls: AuthenticationParts["tls"];
  };
}

interface KeyParts {
  keyring: Keyring;
  rotation: Rotation;
  lifecycle: Lifecycle;
  background: Background;
}

interface RunningProcess {
  instruments: Instruments;
  alarm: Alarm;
  time: Time;
  log: Logger;
  startedAt: Date;
}

/** Settings that Status and Validate tell of. */
export interface ShownSettings {
  /** Issuer of public keys. */
  readonly issuer: string;
  readonly cache: { readonly ttlMs: number; readonly maxStaleMs: number; readonly maxEntries: number };
  readonly rotation: { readonly enabled: boolean; readonly maxAgeDays: number };
  /** Least time between two Validates, or two VerifyAudits, of one caller; 0 for none. */
  readonly limits: { readonly checksEveryMs: number };
  readonly auth: string;
  readonly providerCheckMs: number;
  readonly cost: Prices;
  readonly warnings: readonly Notice[];
  readonly faults: readonly Notice[];
}

export interface Services {
  /** The current provider's. */
  providerName: string;
  kms: KmsHandlers;
  keyAdmin: KeyAdminHandlers;
  log: LogHandlers;
  streams: { signSpans: StreamHandler };
}

export function createServices(
  config: ShownSettings,
  parts: ServicesParts,
  { instruments, alarm, time, log, startedAt }: RunningProcess,
): Services {
  const { providers, storage, audit, observer, pool, logs, health, access } = parts;
  const { store, heads } = storage;
  const { keyring, rotation, lifecycle, background } = parts.keys;
  const { issuer, cache, cost: prices, providerCheckMs: checkMs } = config;
  const { current } = providers.keys;
  const timer = keyTimer(instruments, time);
  const signing = { keyring, logs: logs.reader, keyTimer: timer, time };
  return {
    providerName: current.name,
    kms: bounded(
      kmsHandlers({
        ...signing,
        observer,
        audit,
        heads,
        issuer,
        health,
        store,
        storeId: storage.id,
        watches: providers.watches,
        tenantProviderKeys: providers.tenantProviderKeys,
        providerOf: providers.usedBy,
        providerName: current.name,
        version,
        startedAt,
        rotation,
        schedule: {
          ...config.rotation,
          next: () => background.schedule?.next(),
          failed: () => background.schedule?.failed() ?? 0,
        },
        caches: () => cachesOf(keyring, cache.maxEntries),
        ttlMs: cache.ttlMs,
        maxStaleMs: cache.maxStaleMs,
        breakers: providers.allBreakers,
        providerCalls: providers.calls,
        prices,
        checkMs,
        destructionWaits: health.destructionWaits,
        integrity: parts.integrity,
        authentication: { kind: config.auth, policy: access.policy, tls: access.tls },
        countProviderCalls: providers.countCalls,
        probeKeyrings: (provider) => probeKeyrings(provider, time),
        unexpected: (err) => log.error({ err }, "a test of Validate met a bug"),
        validateTurns: createTurns({ everyMs: config.limits.checksEveryMs, time }),
        recommendations: [...heads.remarks(), ...recommendationsFor(config, current.name)],
        faults: [...config.faults, ...storage.advice.map((text) => notice("STORE_KEY_UNPINNED", text))],
        policyAdvice: access.policy?.advice,
      }),
    ),
    keyAdmin: bounded(
      keyAdminHandlers({
        lifecycle,
        rewrap: observedRewrap(
          createRewrap({ store, providerKeys: providers.keys, keyring, time }),
          observer,
          alarm.suspect,
        ),
        current: wrappedBy(current),
        store,
        heads,
        verifyAudit: (asked) => verifyAudit(store, asked),
        auditTurns: createTurns({ everyMs: config.limits.checksEveryMs, time }),
      }),
    ),
    log: bounded(logHandlers({ logs: logs.reader })),
    streams: {
      signSpans: signSpans({
        ...signing,
        observer,
        pool,
        sequencer: logs.sequencer,
        batchTook: (seconds, mode) => instruments.batch.record(seconds, { mode }),
      }),
    },
  };
}

/** What is always worth saying about a configuration, and wrong with none. */
function recommendationsFor({ warnings, faults }: ShownSettings, providerName: string): Notice[] {
  // That of Node is about no setting: Status says it.
  const purposes = warnings.filter((each) => !faults.includes(each) && each.code !== "NODE_MISREADS_NAMES");
  return providerName === "local" ? [...purposes, notice("PROVIDER_LOCAL", localAdvice)] : purposes;
}
