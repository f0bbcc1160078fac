/** All handlers over real keys, store and audit trail, and what they told: the trail's rows, alarms of health, counters. */
import { noHeads } from "../../src/store/heads/keeper.ts";
import { wrappedBy } from "../../src/provider-keys/provider-keys.ts";
import { logReader } from "../../src/tenant-log/reader.ts";
import { createAuditObserver } from "../../src/audit/observer.ts";
import { createAuditTrail } from "../../src/audit/trail.ts";
import { verifyAudit } from "../../src/audit/verify-trail.ts";
import type { CallContext, Caller } from "../../src/call/context.ts";
import type { Alarm } from "../../src/alarm.ts";
import type { HealthReport } from "../../src/health/monitor.ts";
import { keyAdminHandlers, keyAdminMethods } from "../../src/service/key-admin/handlers.ts";
import type { ProviderCondition } from "../../src/provider-keys/watch.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { type KmsParts, kmsHandlers, kmsMethods } from "../../src/service/kms/handlers.ts";
import type { AuditEvent } from "../../src/store/audit-store.ts";
import type { Store } from "../../src/store/store.ts";
import { anyone } from "../../src/transport/authenticate.ts";
import { auditedHandlers } from "./audited-handlers.ts";
import { setUp as setUpKeys } from "./keys-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";
import { createTurns } from "../../src/runtime/turns/one-at-a-time.ts";
import { wallTime } from "./wall-time.ts";

/** `wrap` replaces methods of the store; `alarm` hears what is otherwise gathered in `alarms`. */
export function setUp(wrap: (store: Store) => Partial<Store> = () => ({}), alarm?: Pick<Alarm, "suspect" | "lost">) {
  const keys = setUpKeys();
  const store: Store = { ...keys.store, ...wrap(keys.store) };
  const { keyring, provider } = setUpKeys({ store, provider: keys.provider });
  const clock = () => new Date("2026-01-01T00:00:00.000Z");
  const trail = createAuditTrail({ store, time: wallTime(clock) });
  const alarms: string[] = [];
  const counts: [count: number, of: string][] = [];
  const counter = { add: (count: number, of = "data loss") => void counts.push([count, of]) };
  const observer = createAuditObserver({
    audit: trail,
    alarm: alarm ?? { suspect: () => alarms.push("suspect"), lost: (what) => alarms.push(`lost: ${what}`) },
    instruments: { dataLoss: counter, spansSigned: counter, piiFields: counter },
  });
  const report: HealthReport = {
    status: "operational",
    latencyMs: 1,
    counts: { byPurpose: { data: {}, signing: {} }, oldestActiveAt: undefined, lastRotationAt: undefined },
    notices: [],
  };
  const watch = answeringWatch(provider, clock());
  const parts: KmsParts & Required<Pick<KmsParts, "observer" | "audit">> = {
    observer,
    audit: trail,
    heads: noHeads,
    keyring,
    logs: logReader({ store, keys: keyring }),
    store,
    storeId: "5".repeat(32),
    providerOf: () => ({ unguarded: provider, watch }),
    time: wallTime(clock),
    keyTimer: { signing: (get) => get(), encryption: (get) => get() },
    issuer: "test",
    health: { current: () => report, look: async () => report, drain() {}, subscribe() {}, close() {} },
    providerName: "local",
    version: "0",
    startedAt: clock(),
    rotation: keyring,
    schedule: { enabled: true, maxAgeDays: 90, next: () => undefined, failed: () => 0 },
    watches: [watch],
    tenantProviderKeys: { all: () => [], keyOf: () => undefined },
    caches: () => [],
    ttlMs: 3_600_000,
    maxStaleMs: 14_400_000,
    breakers: () => [],
    providerCalls: () => new Map(),
    prices: { per10000Calls: 0.03, perKeyMonth: 1, charged: "all", currency: "USD" },
    checkMs: 30_000,
    destructionWaits: () => undefined,
    countProviderCalls: async (work) => ({ answer: await work(), calls: new Map() }),
    probeKeyrings: () => ({ first: keyring, second: keyring, close() {} }),
    integrity: {
      status: () => ({ percent: 100, beganAt: undefined, finishedAt: undefined, findings: [] }),
    },
    authentication: { kind: "none", policy: undefined, tls: undefined },
    recommendations: [],
    faults: [],
  };
  const admin = keyAdminHandlers({
    auditTurns: createTurns({ time: realTime }),
    store,
    heads: noHeads,
    lifecycle: keyring,
    rewrap: keyring,
    current: wrappedBy(provider),
    verifyAudit: (asked) => verifyAudit(store, asked),
  });
  return {
    kms: auditedHandlers(kmsHandlers(parts), kmsMethods, observer),
    admin: auditedHandlers(admin, keyAdminMethods, observer),
    parts,
    keyring,
    store,
    provider,
    trail,
    alarms,
    /** Items that metrics counted, with their labels. */
    counts,
    report,
    /** Of what the handlers told the trail: not the rows that the store wrote with its changes. */
    async rows(): Promise<AuditEvent[]> {
      await trail.close();
      const rows = await store.auditEvents({ limit: 10_000 });
      return rows.filter(({ action, outcome }) => outcome !== "OK" || !["create", "rotate", "retire"].includes(action));
    },
  };
}

/** That sees the key as it should be. */
function answeringWatch(provider: Provider, since: Date): KmsParts["watches"][number] {
  const condition: ProviderCondition = {
    condition: "answering",
    detail: "in this process",
    advice: undefined,
    since,
    latencyMs: 1,
    clockSkewMs: undefined,
  };
  return { provider, current: () => condition, look: async () => condition, probe: async () => "passed" };
}

/** A call by `ann`, who may do everything unless `caller` says otherwise. */
export function call(caller: Partial<Caller> = {}, signal = new AbortController().signal): CallContext {
  return { caller: { ...anyone, name: "ann", ...caller }, signal };
}
