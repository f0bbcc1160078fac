/** Keys that are a week older than the rotation lets them become. */
import { expect, it } from "vitest";
import { watchOverdueKeys } from "../../src/health/overdue-keys.ts";
import type { Store } from "../../src/store/store.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import { KmsError } from "../../src/errors.ts";
import { dayMs } from "../support/keys-fixture.ts";
import { pendingKey } from "../support/store-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";
import { wallTime } from "../support/wall-time.ts";

const start = new Date("2026-01-01T00:00:00.000Z");
const rotation = { enabled: true, maxAgeDays: 90 };

/** A store in which each tenant has a key since `start`. */
async function withKeys(...tenants: string[]) {
  const store = memoryStore(realTime);
  for (const tenantId of tenants) {
    const record = pendingKey({ tenantId });
    await store.insertPending(record);
    const by = { actor: "ann", requestId: "" };
    await store.activate({ ...record, expect: "no-version", at: start, by });
  }
  return store;
}

function watching(store: Pick<Store, "due">, changes: Partial<Parameters<typeof watchOverdueKeys>[0]> = {}) {
  const clock = { now: start };
  const hasOwnKey = (tenantId: string) => tenantId.startsWith("own");
  const watch = watchOverdueKeys({ store, rotation, hasOwnKey, time: wallTime(() => clock.now), ...changes });
  return {
    ...watch,
    async after(days: number, ms = 0) {
      clock.now = new Date(start.getTime() + days * dayMs + ms);
      await watch.look();
      return watch.seen();
    },
  };
}

it("are none before the first look, and none of a store without keys", async () => {
  const watch = watching(memoryStore(realTime));
  expect(watch.seen()).toEqual({ service: 0, tenant: 0 });
  expect(await watch.after(1_000)).toEqual({ service: 0, tenant: 0 });
});

it("are those that the rotation should have replaced a week ago, tenants' own apart", async () => {
  const watch = watching(await withKeys("acme", "globex", "own-initech"));
  expect(await watch.after(97)).toEqual({ service: 0, tenant: 0 });
  expect(await watch.after(97, 1)).toEqual({ service: 2, tenant: 1 });
  expect(await watch.after(0)).toEqual({ service: 0, tenant: 0 });
});

it("are none where the clock rotates no keys, which costs no look", async () => {
  const never = { due: () => Promise.reject(new Error("asked")) };
  const watch = watching(never, { rotation: { enabled: false, maxAgeDays: 90 } });
  expect(await watch.after(1_000)).toEqual({ service: 0, tenant: 0 });
});

it("follow the age that is set", async () => {
  const watch = watching(await withKeys("acme"), { rotation: { enabled: true, maxAgeDays: 1 } });
  expect(await watch.after(8)).toEqual({ service: 0, tenant: 0 });
  expect(await watch.after(8, 1)).toEqual({ service: 1, tenant: 0 });
});

it("are told apart among the oldest 1,000, and the rest is the service's if any of these is", async () => {
  const tenants = Array.from({ length: 1_003 }, (_, n) => `own-${n}`);
  const watch = watching(await withKeys(...tenants));
  expect(await watch.after(98)).toEqual({ service: 0, tenant: 1_003 });
  const mixed = watching(await withKeys("acme", ...tenants));
  expect(await mixed.after(98)).toEqual({ service: 5, tenant: 999 });
});

it("stay as they were while the store does not answer", async () => {
  const store = await withKeys("acme");
  let isAway = false;
  const watch = watching({
    due: (...page) => (isAway ? Promise.reject(new KmsError("STORE_UNAVAILABLE", "gone")) : store.due(...page)),
  });
  expect(await watch.after(98)).toEqual({ service: 1, tenant: 0 });
  isAway = true;
  expect(await watch.after(0)).toEqual({ service: 1, tenant: 0 });
  isAway = false;
  expect(await watch.after(0)).toEqual({ service: 0, tenant: 0 });
});
