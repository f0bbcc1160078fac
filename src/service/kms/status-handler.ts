/** Status: what an operator wants to see at a glance, from memory and the store. No provider call. */
import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  AuditStatusSchema,
  BreakerStatusSchema,
  CacheStatusSchema,
  CostStatusSchema,
  Health,
  HeadsStatusSchema,
  IntegrityStatusSchema,
  KeyCountSchema,
  MemoryStatusSchema,
  ProviderCondition as ProviderConditionName,
  ProviderKeyStatusSchema,
  RotationStatusSchema,
  type StatusRequest,
  type StatusResponse,
  StatusResponseSchema,
} from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { memoryProtection } from "../../crypto/ed25519.ts";
import { hasCode } from "../../errors.ts";
import type { CacheStats } from "../../keys/cache.ts";
import type { DestructionWaits } from "../../keys/destruction/waits.ts";
import type { ProviderCondition, ProviderWatch } from "../../provider-keys/watch.ts";
import { purposes } from "../../store/key-record.ts";
import type { Provider } from "../../provider/provider.ts";
import type { KeyCounts } from "../../store/key-store.ts";
import type { HeadsStatus } from "../../store/heads/keeper.ts";
import type { Store } from "../../store/store.ts";
import type { AuditState, AuditTrail } from "../../audit/trail.ts";
import { type CallContext, tenantOrAll } from "../../call/context.ts";
import { roleOf } from "../../call/roles.ts";
import { type AuthenticationParts, authenticationStatus } from "./authentication-status.ts";
import { costOf, type Prices } from "./cost.ts";
import { destructionStatus } from "./destruction-status.ts";
import type { Condition, HealthMonitor } from "../../health/monitor.ts";
import type { Integrity, IntegrityStatus } from "../../integrity/start.ts";
import { inTime } from "../../runtime/deadline.ts";
import type { Time } from "../../runtime/time.ts";

export interface StatusParts {
  health: HealthMonitor;
  store: Store;
  storeId: string;
  providerName: string;
  /** Of all but the tenants' keys, the current provider's first. */
  watches: readonly Pick<ProviderWatch, "provider" | "current">[];
  tenantProviderKeys: { all(): readonly TenantKeyStatus[]; keyOf(tenantId: string): TenantKeyStatus | undefined };
  version: string;
  startedAt: Date;
  time: Time;
  schedule: {
    enabled: boolean;
    maxAgeDays: number;
    next(): Date | undefined;
    failed(): number;
  };
  audit: Pick<AuditTrail, "status">;
  heads: { status(): HeadsStatus };
  caches(): ({ keyType: string; maxSize: number } & CacheStats)[];
  /** `kms.cache.ttl` and `kms.cache.max-stale`. */
  ttlMs: number;
  maxStaleMs: number;
  breakers(): { name: string; state: string }[];
  /** Calls to the provider since start, by operation. */
  providerCalls(): ReadonlyMap<string, number>;
  prices: Prices;
  /** `kms.provider.check-interval`. */
  checkMs: number;
  /** Keys that wait for their destruction, as last seen. */
  destructionWaits(): DestructionWaits | undefined;
  authentication: AuthenticationParts;
  integrity: Pick<Integrity, "status">;
}

export interface TenantKeyStatus {
  name: string;
  /** The provider's name. */
  provider: string;
  tenants: number;
  open: { watch: Pick<ProviderWatch, "provider" | "current"> } | undefined;
  condition(): Pick<ProviderCondition, "condition" | "detail" | "since" | "latencyMs">;
}

export const healthNames: Readonly<Record<Condition, Health>> = {
  operational: Health.OPERATIONAL,
  degraded: Health.DEGRADED,
  down: Health.DOWN,
};

const conditionNames: Readonly<Record<ProviderCondition["condition"], ProviderConditionName>> = {
  answering: ProviderConditionName.ANSWERING,
  unavailable: ProviderConditionName.UNAVAILABLE,
  denied: ProviderConditionName.DENIED,
};

const tenantKeysShown = 100;
export const findingsShown = 100;
const dayMs = 86_400_000;

export function statusHandlers(parts: StatusParts) {
  const { health, store, startedAt, time } = parts;
  let lastDue = { total: 0 };
  return {
    async status(request: StatusRequest, call: CallContext): Promise<StatusResponse> {
      const tenantId = tenantOrAll(request.tenantId, call.caller, roleOf.status);
      if (tenantId !== undefined && !call.caller.has(roleOf.status)) return tenantStatus(tenantId);
      const [counts, due, audit] = await Promise.all([
        tenantId === undefined ? allCounts() : store.counts(tenantId),
        dueCount(),
        parts.audit.status(),
      ]);
      const report = health.current();
      const uptimeMs = time.now().getTime() - startedAt.getTime();
      return create(StatusResponseSchema, {
        provider: parts.providerName,
        status: healthNames[report.status],
        latencyMs: report.latencyMs,
        version: parts.version,
        uptime: { seconds: BigInt(Math.floor(uptimeMs / 1000)), nanos: (uptimeMs % 1000) * 1_000_000 },
        cache: parts.caches().map((cache) =>
          create(CacheStatusSchema, {
            ...cache,
            hits: BigInt(cache.hits),
            misses: BigInt(cache.misses),
            evictions: BigInt(cache.evictions),
          }),
        ),
        keys: keyCounts(counts),
        rotation: rotationStatus(parts, counts, due),
        breakers: parts.breakers().map((breaker) => create(BreakerStatusSchema, breaker)),
        cost: costStatus(parts, uptimeMs),
        memory: create(MemoryStatusSchema, memoryProtection()),
        store: store.name,
        storeId: parts.storeId,
        audit: auditStatus(audit),
        notices: report.notices.map(({ text }) => text),
        noticeDetails: [...report.notices],
        providerKeys: parts.watches.map(({ provider, current }) =>
          create(ProviderKeyStatusSchema, { ...placeOf(provider), ...conditionOf(current()) }),
        ),
        ...tenantKeyStatus(parts, tenantId),
        ...(tenantId === undefined && ofService(parts)),
        cacheTtl: durationFromMs(parts.ttlMs),
        maxStale: durationFromMs(parts.maxStaleMs),
      });
    },
  };

  /** Status for a caller that may see one tenant: nothing of others, and of the service its health alone. */
  async function tenantStatus(tenantId: string): Promise<StatusResponse> {
    const keys = keyCounts(await store.counts(tenantId));
    const { tenantKeys, ...counts } = tenantKeyStatus(parts, tenantId);
    const own = tenantKeys.map((key) => create(ProviderKeyStatusSchema, { ...key, tenants: 0 })); // others may have it too
    return create(StatusResponseSchema, {
      status: healthNames[health.current().status],
      keys,
      tenantKeys: own,
      ...counts,
    });
  }

  /** Without the store, as last seen: what is wrong is asked for most when it is gone. */
  async function allCounts(): Promise<KeyCounts> {
    return inTime(time, store.counts()).catch((error) => asLastSeen(error, health.current().counts));
  }

  async function dueCount(): Promise<number> {
    const before = new Date(time.now().getTime() - parts.schedule.maxAgeDays * dayMs);
    lastDue = await inTime(time, store.due(before, 1)).catch((error) => asLastSeen(error, lastDue));
    return lastDue.total;
  }
}

function tenantKeyStatus({ tenantProviderKeys }: StatusParts, tenantId: string | undefined) {
  const own = tenantId === undefined ? undefined : tenantProviderKeys.keyOf(tenantId);
  const all = tenantId === undefined ? tenantProviderKeys.all() : own === undefined ? [] : [own];
  const isWell = (key: TenantKeyStatus) => key.condition().condition === "answering";
  const unusable = all.filter((key) => !isWell(key));
  return {
    tenantKeys: [...unusable, ...all.filter(isWell)].slice(0, tenantKeysShown).map(tenantKey),
    tenantKeysTotal: all.length,
    tenantKeysUnusable: unusable.length,
  };
}

function rotationStatus({ schedule }: StatusParts, counts: KeyCounts, due: number) {
  const { enabled, maxAgeDays, next, failed } = schedule;
  const nextAt = next();
  const { lastRotationAt } = counts;
  return create(RotationStatusSchema, {
    enabled,
    maxAge: { seconds: BigInt(maxAgeDays * (dayMs / 1000)), nanos: 0 },
    ...(lastRotationAt && { last: timestampFromDate(lastRotationAt) }),
    ...(nextAt && { next: timestampFromDate(nextAt) }),
    due: BigInt(due),
    failed: BigInt(failed()),
  });
}

function costStatus(parts: StatusParts, uptimeMs: number) {
  const { prices, watches, tenantProviderKeys, ttlMs, checkMs } = parts;
  const providerKeys = watches.length + tenantProviderKeys.all().length;
  const calls = parts.providerCalls();
  const secrets = parts.caches().filter(({ keyType }) => keyType !== "public"); // those come from the store
  const sum = (count: (cache: CacheStats) => number) => secrets.reduce((total, cache) => total + count(cache), 0);
  const loads = {
    first: sum((cache) => cache.loads.first),
    refreshed: sum((cache) => cache.loads.refreshed),
    expired: sum((cache) => cache.loads.expired),
    doubted: sum((cache) => cache.loads.doubted),
  };
  const cachedKeys = sum(({ size }) => size);
  const use = { prices, calls, uptimeMs, loads, cachedKeys, providerKeys, ttlMs, checkMs };
  const { projections, ...cost } = costOf(use);
  return create(CostStatusSchema, {
    ...cost,
    providerCalls: bigints(Object.fromEntries(calls)),
    providerKeys,
    prices: { ...prices, perTenThousandCalls: prices.per10000Calls },
    keyLoads: bigints(loads),
    projections: projections.map(({ ttlMs, ...projection }) => ({ ...projection, ttl: durationFromMs(ttlMs) })),
  });
}

function bigints<Name extends string>(counts: Record<Name, number>): Record<Name, bigint> {
  const counted = Object.entries<number>(counts).map(([name, count]) => [name, BigInt(count)]);
  return Object.fromEntries(counted) as Record<Name, bigint>;
}

function asLastSeen<T>(error: unknown, seen: T): T {
  if (hasCode(error, "STORE_UNAVAILABLE")) return seen;
  throw error;
}

/** Members that are unset in a Status of one tenant. */
function ofService(parts: StatusParts) {
  const waits = parts.destructionWaits();
  return {
    authentication: authenticationStatus(parts.authentication),
    integrity: integrityStatus(parts.integrity.status()),
    heads: headsStatus(parts.heads.status()),
    ...(waits && { destructionsWaiting: destructionStatus(waits) }),
  };
}

function auditStatus({ head, problem = "" }: AuditState) {
  if (head === undefined) return create(AuditStatusSchema, { problem });
  const { writerId, sequence, mac, durableAt } = head;
  return create(AuditStatusSchema, {
    writerId,
    sequence: BigInt(sequence),
    mac: Buffer.from(mac).toString("hex"),
    durableAt: timestampFromDate(durableAt),
    problem,
  });
}

function integrityStatus({ percent, beganAt, finishedAt, findings }: IntegrityStatus) {
  return create(IntegrityStatusSchema, {
    percent,
    ...(beganAt && { began: timestampFromDate(beganAt) }),
    ...(finishedAt && { finished: timestampFromDate(finishedAt) }),
    findings: findings.slice(0, findingsShown).map(({ kind, tenantId, keyId, log = 0, what }) => ({
      kind,
      tenantId,
      keyId,
      what,
      log: BigInt(log),
    })),
    findingsTotal: BigInt(findings.length),
  });
}

function headsStatus({ file, since, writtenAt, commits = 0, problem, remark }: HeadsStatus) {
  return create(HeadsStatusSchema, {
    file,
    ...(since && { since: timestampFromDate(since) }),
    ...(writtenAt && { writtenAt: timestampFromDate(writtenAt) }),
    commits: BigInt(commits),
    problem,
    remark,
  });
}

function tenantKey({ name, provider, tenants, open, condition }: TenantKeyStatus) {
  const place = open === undefined ? { provider } : placeOf(open.watch.provider);
  return create(ProviderKeyStatusSchema, { ...place, ...conditionOf(condition()), name, tenants });
}

function placeOf({ name, keyId, region = "" }: Provider) {
  return { provider: name, keyId, region };
}

/** Without the advice, which names the key's policy: Validate gives it to operators. */
function conditionOf({ condition, detail, since, latencyMs }: ReturnType<TenantKeyStatus["condition"]>) {
  return { condition: conditionNames[condition], detail, since: timestampFromDate(since), latencyMs };
}

function keyCounts({ byPurpose }: KeyCounts) {
  return purposes.flatMap((purpose) =>
    Object.entries(byPurpose[purpose]).map(([state, count]) =>
      create(KeyCountSchema, { purpose, state, count: BigInt(count) }),
    ),
  );
}
