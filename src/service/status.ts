/** Status: what an operator wants to see at a glance, from memory and the store. No provider call. */
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  BreakerStatusSchema,
  CacheStatusSchema,
  CostStatusSchema,
  Health,
  KeyCountSchema,
  MemoryStatusSchema,
  RotationStatusSchema,
  type StatusRequest,
  type StatusResponse,
  StatusResponseSchema,
} from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { memoryProtection } from "../crypto/ed25519.ts";
import { purposes } from "../keys/record.ts";
import type { KeyCounts, Store } from "../store/store.ts";
import type { CallContext } from "./context.ts";
import type { Condition, HealthMonitor } from "./health.ts";

export interface StatusParts {
  health: HealthMonitor;
  store: Store;
  providerName: string;
  version: string;
  startedAt: Date;
  clock: () => Date;
  rotation: { enabled: boolean; maxAgeDays: number; next(): Date | undefined; failed(): number };
  caches(): { keyType: string; hits: number; misses: number; evictions: number; size: number; maxSize: number }[];
  breakers(): { name: string; state: string }[];
  /** Calls to the provider since start, by operation. */
  providerCalls(): ReadonlyMap<string, number>;
}

export const healthNames: Readonly<Record<Condition, Health>> = {
  operational: Health.OPERATIONAL,
  degraded: Health.DEGRADED,
  down: Health.DOWN,
};

const dayMs = 86_400_000;
/** A rate is taken over at least this long: the first seconds say nothing about a day. */
const leastRateMs = 3_600_000;

export function statusHandlers(parts: StatusParts) {
  const { health, store, startedAt, clock } = parts;
  return {
    async status(request: StatusRequest, call: CallContext): Promise<StatusResponse> {
      const tenantId = request.tenantId === "" ? undefined : call.caller.tenant(request.tenantId);
      if (tenantId === undefined) call.caller.require("operator");
      const report = health.current();
      const counts = tenantId === undefined ? await store.counts() : await tenantCounts(store, tenantId);
      const uptimeMs = clock().getTime() - startedAt.getTime();
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
        rotation: await rotationStatus(counts),
        breakers: parts.breakers().map((breaker) => create(BreakerStatusSchema, breaker)),
        cost: costStatus(uptimeMs),
        memory: create(MemoryStatusSchema, memoryProtection()),
        store: store.name,
        notices: [...report.notices],
      });
    },
  };

  async function rotationStatus(counts: KeyCounts) {
    const { enabled, maxAgeDays, next, failed } = parts.rotation;
    const due = await store.due(new Date(clock().getTime() - maxAgeDays * dayMs), 1);
    const nextAt = next();
    return create(RotationStatusSchema, {
      enabled,
      maxAge: { seconds: BigInt(maxAgeDays * (dayMs / 1000)), nanos: 0 },
      ...(counts.lastRotationAt && { last: timestampFromDate(counts.lastRotationAt) }),
      ...(nextAt && { next: timestampFromDate(nextAt) }),
      due: BigInt(due.total),
      failed: BigInt(failed()),
    });
  }

  function costStatus(uptimeMs: number) {
    const calls = parts.providerCalls();
    const total = [...calls.values()].reduce((sum, count) => sum + count, 0);
    return create(CostStatusSchema, {
      providerCalls: Object.fromEntries([...calls].map(([operation, count]) => [operation, BigInt(count)])),
      providerCallsPerDay: (total * dayMs) / Math.max(uptimeMs, leastRateMs),
    });
  }
}

async function tenantCounts(store: Store, tenantId: string): Promise<KeyCounts> {
  const byPurpose: KeyCounts["byPurpose"] = { data: {}, signing: {} };
  let lastRotationAt: Date | undefined;
  let oldestActiveAt: Date | undefined;
  for (const purpose of purposes) {
    for (const { state, version, activatedAt } of await store.list(tenantId, purpose)) {
      byPurpose[purpose][state] = (byPurpose[purpose][state] ?? 0) + 1;
      if (version > 1 && activatedAt && activatedAt > (lastRotationAt ?? 0)) lastRotationAt = activatedAt;
      if (state === "ACTIVE" && activatedAt && activatedAt < (oldestActiveAt ?? activatedAt))
        oldestActiveAt = activatedAt;
    }
  }
  return { byPurpose, oldestActiveAt, lastRotationAt };
}

function keyCounts({ byPurpose }: KeyCounts) {
  return purposes.flatMap((purpose) =>
    Object.entries(byPurpose[purpose]).map(([state, count]) =>
      create(KeyCountSchema, { purpose, state, count: BigInt(count) }),
    ),
  );
}
