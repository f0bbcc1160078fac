/** The health monitor of a service as it starts: what its looks at the store give beside the report. */
import { join } from "node:path";
import { pino } from "pino";
import { expect, it, onTestFinished } from "vitest";
import { createAlarm } from "../../src/alarm.ts";
import { type HealthStart, startHealth } from "../../src/health/start.ts";
import { createTimeWitness } from "../../src/keys/destruction/time-witness.ts";
import { startProviders } from "../../src/provider-keys/start.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { directory } from "../support/config-fixture.ts";
import { fromNow } from "../support/from-now.ts";
import { dayMs } from "../support/keys-fixture.ts";
import { addKey } from "../support/store-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";
import { wallTime } from "../support/wall-time.ts";

const log = pino({ level: "silent" });

/** A service whose tenant `own` has a provider key of its own, in a year from now. */
async function started(store: Store, changes: Partial<HealthStart> = {}) {
  const clock = () => fromNow(365 * dayMs);
  const alarm = createAlarm();
  const masterKeyFile = join(directory(), "own.key");
  const providers = await startProviders(
    {
      provider: { name: "local" },
      otherProvider: undefined,
      tenantProviderKeys: {
        providerKeys: new Map([["own", { name: "local", masterKeyFile }]]),
        tenants: new Map([["own", "own"]]),
      },
      storeKeyPin: undefined,
      providerCheckMs: 30_000,
      warnings: [],
    },
    {
      time: wallTime(clock),
      instruments: {
        providerCall: { record() {} },
        providerRequests: { add() {} },
        providerLies: { add() {} },
      } as never,
      log,
      alarm,
    },
  );
  const health = await startHealth({
    providers,
    store,
    alarm,
    log,
    time: wallTime(clock),
    notices: [],
    witness: createTimeWitness({ store, time: wallTime(clock) }),
    audit: { problem: () => undefined },
    problems: () => [],
    accessRemarks: () => [],
    ...changes,
  });
  onTestFinished(async () => {
    health.close();
    await providers.close();
  });
  return health;
}

async function filled(): Promise<Store> {
  const store = memoryStore(realTime);
  for (const tenantId of ["acme", "globex", "own"]) await addKey(store, { tenantId });
  const waiting = await addKey(store, { tenantId: "initech" });
  const next = { ...waiting, state: "DESTROY_SCHEDULED", previousState: "ACTIVE", destroyAt: new Date() } as const;
  const by = { action: "schedule_destruction", actor: "ann", requestId: "", at: new Date() } as const;
  await store.update(waiting, next, by);
  const { generation } = await store.lease("backup", "a command", 1_000);
  await store.finishLease({ name: "backup", generation: generation! }, new Date(1_000));
  return store;
}

it("knows after its first look which keys are overdue, which wait for destruction, and when a backup was noted", async () => {
  const health = await started(await filled(), { rotation: { enabled: true, maxAgeDays: 90 } });
  expect(health.overdueKeys()).toEqual({ service: 2, tenant: 1 });
  expect(health.destructionsWaiting()).toBe(1);
  expect(health.backupAt()).toEqual(new Date(1_000));
  expect(health.checkAt()).toBeUndefined();
});

it("knows more after the next, and no key is overdue unless it is told how keys are rotated", async () => {
  const store = await filled();
  const health = await started(store);
  const { generation } = await store.lease("check", "a command", 1_000);
  await store.finishLease({ name: "check", generation: generation! }, new Date(2_000));
  await health.look();
  expect(health.checkAt()).toEqual(new Date(2_000));
  expect(health.overdueKeys()).toEqual({ service: 0, tenant: 0 });
});

it("counts nothing of a store without keys", async () => {
  const health = await started(memoryStore(realTime));
  expect(health.destructionsWaiting()).toBe(0);
  expect(health.backupAt()).toBeUndefined();
});

it("goes on with its other looks though notes cannot be read", async () => {
  const store = await filled();
  const altered = { ...store, leaseFinishedAt: () => Promise.reject(new TypeError("a bug")) };
  const health = await started(altered);
  expect(health.backupAt()).toBeUndefined();
  expect(health.destructionsWaiting()).toBe(1);
});
