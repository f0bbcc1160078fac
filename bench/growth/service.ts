/** The real handlers over a filled store, without a transport: what grows is behind them. */

import { noHeads } from "../../src/store/heads/keeper.ts";
import { providerKeys } from "../../src/provider-keys/provider-keys.ts";
import { watchProvider } from "../../src/provider-keys/watch.ts";
import { wholeKeyring, type WholeKeyring } from "../../test/support/whole-keyring.ts";
import { wrappedBy } from "../../src/provider-keys/provider-keys.ts";
import { unlockStore } from "../../src/keys/store-key/unlock.ts";
import { logReader } from "../../src/tenant-log/reader.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { createAuditTrail } from "../../src/audit/trail.ts";
import { verifyAudit } from "../../src/audit/verify-trail.ts";
import { createAuditObserver } from "../../src/audit/observer.ts";
import type { CallContext } from "../../src/call/context.ts";
import { createAlarm } from "../../src/alarm.ts";
import { startHealthMonitor } from "../../src/health/monitor.ts";
import { type KeyAdminHandlers, keyAdminHandlers } from "../../src/service/key-admin/handlers.ts";
import { type KmsHandlers, kmsHandlers, kmsMethods } from "../../src/service/kms/handlers.ts";
import { openStore, type StoreSettings } from "../../src/store/registry.ts";
import type { Store } from "../../src/store/store.ts";
import { anyone } from "../../src/transport/authenticate.ts";
import { type Answering, auditedHandlers } from "../../test/support/audited-handlers.ts";
import { realTime } from "../../src/runtime/time.ts";
import { createTurns } from "../../src/runtime/turns/one-at-a-time.ts";
import { wallTime } from "../../test/support/wall-time.ts";

export interface GrownService {
  kms: Answering<KmsHandlers>;
  admin: KeyAdminHandlers;
  keyring: WholeKeyring;
  store: Store;
  provider: Provider;
  close(): Promise<void>;
}

export const call: CallContext = { caller: anyone, signal: new AbortController().signal };

const counter = { add() {} };

export async function openService(settings: StoreSettings, provider: Provider): Promise<GrownService> {
  const store = await unlockStore(await openStore(settings, realTime), providerKeys({ current: provider }), realTime);
  const clock = () => new Date();
  const keyring = wholeKeyring({ store, provider, time: wallTime(clock) });
  const audit = createAuditTrail({ store, time: wallTime(clock) });
  const watches = [await watchProvider({ time: realTime, provider })];
  const alarm = createAlarm();
  const health = await startHealthMonitor({ time: realTime, alarm, watches, store, notices: [] });
  const observer = createAuditObserver({
    audit,
    alarm,
    instruments: { dataLoss: counter, spansSigned: counter, piiFields: counter },
  });
  const kms = kmsHandlers({
    observer,
    audit,
    heads: noHeads,
    keyring,
    logs: logReader({ store, keys: keyring }),
    store,
    storeId: (await store.storeKey()).storeId,
    providerOf: () => ({ unguarded: provider, watch: watches[0]! }),
    watches,
    tenantProviderKeys: { all: () => [], keyOf: () => undefined },
    time: wallTime(clock),
    health,
    integrity: {
      status: () => ({ percent: 100, beganAt: undefined, finishedAt: undefined, findings: [] }),
    },
    keyTimer: { signing: (get) => get(), encryption: (get) => get() },
    issuer: "bench",
    providerName: provider.name,
    version: "0",
    startedAt: clock(),
    rotation: keyring,
    schedule: { enabled: true, maxAgeDays: 90, next: () => undefined, failed: () => 0 },
    caches: () => [],
    ttlMs: 3_600_000,
    maxStaleMs: 14_400_000,
    breakers: () => [],
    providerCalls: () => new Map(),
    prices: { per10000Calls: 0, perKeyMonth: 0, charged: "all", currency: "USD" },
    checkMs: 30_000,
    destructionWaits: () => undefined,
    countProviderCalls: async (work) => ({ answer: await work(), calls: new Map() }),
    probeKeyrings: () => ({ first: keyring, second: keyring, close() {} }),
    authentication: { kind: "none", policy: undefined, tls: undefined },
    recommendations: [],
    faults: [],
  });
  return {
    kms: auditedHandlers(kms, kmsMethods, observer),
    admin: keyAdminHandlers({
      auditTurns: createTurns({ time: realTime }),
      lifecycle: keyring,
      rewrap: keyring,
      current: wrappedBy(provider),
      store,
      heads: noHeads,
      verifyAudit: (asked) => verifyAudit(store, asked),
    }),
    keyring,
    store,
    provider,
    async close() {
      await audit.close();
      health.close();
      keyring.close();
      await store.close();
    },
  };
}
