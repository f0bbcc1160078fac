/** A run of the rotation: when one is missed, who does it, and when it counts as done. */
import { describe, expect, it } from "vitest";
import { KmsError, type KmsErrorCode } from "../../../src/errors.ts";
import type { Rotation, RotationResult } from "../../../src/keys/rotation/rotation.ts";
import { type RunOptions, rotationRuns } from "../../../src/keys/rotation/run.ts";
import type { Provider } from "../../../src/provider/provider.ts";
import { memoryStore } from "../../../src/store/sqlite/memory.ts";
import type { Store } from "../../../src/store/store.ts";
import { thrownBy } from "../../support/matchers.ts";
import { countingStore, dayMs, providerWith, setUp, shared, storeWith, turn } from "../../support/keys-fixture.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { wallTime } from "../../support/wall-time.ts";

const untilEver = new AbortController().signal;
const none: RotationResult = { rotated: [], skipped: [], failed: [], remaining: 0 };

/** One replica whose runs are planned at every midnight. */
function replica(options: Partial<RunOptions> & { provider?: Provider; store?: Store } = {}) {
  const store = options.store ?? memoryStore(realTime);
  const parts = setUp({ store, ...(options.provider && { provider: options.provider }) });
  const { keyring, time } = parts;
  const results: RotationResult[] = [];
  const runs = rotationRuns({
    rotation: keyring,
    holder: "here",
    time: wallTime(() => new Date(time.start + time.ms)),
    plannedAfter: (date) => new Date((Math.floor(date.getTime() / dayMs) + 1) * dayMs),
    leaseTtlMs: 60_000,
    report: (result) => results.push(result),
    ...options,
    store,
  });
  return { ...parts, runs, results };
}

/** Whether the lease is free, by taking it for no time. */
const isFree = async (store: Store) => (await store.lease("rotation/2", "asker", 0)).generation !== undefined;

async function makeKeys({ keyring }: ReturnType<typeof replica>, count: number) {
  for (let i = 0; i < count; i += 1) await keyring.activeDataKey(`t${i}`);
}

describe("a run", () => {
  it("rotates every key that is due, batch by batch, and is noted with the time at which it began", async () => {
    const batches: number[] = [];
    const here = replica({
      report({ rotated }) {
        batches.push(rotated.length);
        here.time.ms += 60_000;
      },
    });
    await makeKeys(here, 120);
    here.time.ms = 91 * dayMs + 5;
    await here.runs.runIfMissed(untilEver);
    expect(batches).toEqual([100, 20]);
    expect(here.runs.last()).toEqual(new Date(here.time.start + 91 * dayMs + 5));
    expect(here.runs.failed()).toBe(0);
    expect((await here.store.lease("rotation/2", "there", 0)).finishedAt).toEqual(here.runs.last());
    expect((await here.store.auditEvents({ limit: 500 })).at(-1)).toMatchObject({
      action: "rotate",
      actor: "fluo-kms",
    });
  });

  it("is done by the first look where none was noted, and then when it is planned: before, not even the store is asked", async () => {
    const { store, calls } = countingStore();
    const here = replica({ store });
    await here.runs.runIfMissed(untilEver);
    expect(calls).toContain("finishLease");
    expect(here.runs.last()).toEqual(new Date(here.time.start));
    expect(await isFree(store)).toBe(true);
    calls.length = 0;
    await here.runs.runIfMissed(untilEver);
    expect(calls).toEqual([]);
    here.time.ms = dayMs;
    await here.runs.runIfMissed(untilEver);
    expect(calls).toContain("finishLease");
    calls.length = 0;
    here.time.ms = 2 * dayMs - 1;
    await here.runs.runIfMissed(untilEver);
    expect(calls).toEqual([]);
    here.time.ms = 2 * dayMs;
    await here.runs.runIfMissed(untilEver);
    expect(calls).toContain("finishLease");
  });

  it("that was missed while no replica was there is caught up with, by the store's memory", async () => {
    const store = memoryStore(realTime);
    const before = replica({ store });
    before.time.ms = dayMs;
    await before.runs.runIfMissed(untilEver);
    // As long after its own start no run is planned.
    const startedAt = new Date(before.time.start + 3 * dayMs + 1);
    const after = replica({ store, time: wallTime(() => startedAt) });
    await after.runs.runIfMissed(untilEver);
    expect(after.results).toHaveLength(1);
    expect(after.runs.last()).toEqual(startedAt);
    await after.runs.runIfMissed(untilEver);
    expect(after.results).toHaveLength(1);
  });

  it("rotates though no replica was ever there at a planned time", async () => {
    const { store, provider } = shared();
    await makeKeys(replica({ store, provider }), 2);
    const hourMs = dayMs / 24;
    const rotated: number[] = [];
    for (const days of [90, 91, 92]) {
      const day = replica({ store, provider });
      day.time.ms = days * dayMs + 9 * hourMs;
      await day.runs.runIfMissed(untilEver);
      day.time.ms += 9 * hourMs;
      await day.runs.runIfMissed(untilEver);
      rotated.push(...day.results.map((result) => result.rotated.length));
    }
    expect(rotated).toEqual([2, 0, 0]);
  });

  it("that a wrong clock noted for a time to come is done anew, and noted by the clock that is right", async () => {
    const store = memoryStore(realTime);
    const wrong = replica({ store });
    wrong.time.ms = 3_650 * dayMs;
    await wrong.runs.runIfMissed(untilEver);
    const right = replica({ store });
    right.time.ms = dayMs;
    await right.runs.runIfMissed(untilEver);
    expect(right.results).toHaveLength(1);
    right.time.ms = 2 * dayMs;
    await right.runs.runIfMissed(untilEver);
    expect(right.runs.last()).toEqual(new Date(right.time.start + 2 * dayMs));
    // The one whose clock was put right while it ran goes on with what was noted since.
    wrong.time.ms = 2 * dayMs + 1;
    await wrong.runs.runIfMissed(untilEver);
    expect(wrong.results).toHaveLength(1);
    expect(wrong.runs.last()).toEqual(right.runs.last());
  });

  it("that another replica did is not done again, and the lease is not kept for nothing", async () => {
    const store = memoryStore(realTime);
    const [here, there] = [replica({ store }), replica({ store, holder: "there" })];
    here.time.ms = dayMs + 60_000; // a little ahead
    there.time.ms = dayMs;
    await here.runs.runIfMissed(untilEver);
    await there.runs.runIfMissed(untilEver);
    expect(there.results).toEqual([]);
    expect(there.runs.last()).toEqual(here.runs.last());
    expect(await isFree(store)).toBe(true);
  });

  it("is one replica's where two look at the same time", async () => {
    const { store, provider } = shared();
    const [here, there] = [replica({ store, provider }), replica({ store, provider, holder: "there" })];
    await makeKeys(here, 10);
    for (const { time } of [here, there]) time.ms = 91 * dayMs;
    await Promise.all([here.runs.runIfMissed(untilEver), there.runs.runIfMissed(untilEver)]);
    const results = [...here.results, ...there.results];
    expect(results.map(({ rotated, failed }) => [rotated.length, failed.length])).toEqual([[10, 0]]);
    expect((await store.counts()).byPurpose.data).toEqual({ ACTIVE: 10, RETIRED: 10 });
  });

  it("goes on past keys that are damaged, though they are the oldest and fill a batch", async () => {
    let damage = false;
    const store = storeWith((name, tenantId) => {
      if (damage && name === "active" && Number(tenantId!.slice(1)) < 100) throw new KmsError("DATA_LOSS", "damaged");
    });
    const here = replica({ store });
    for (let i = 0; i < 103; i += 1) {
      here.time.ms = i;
      await here.keyring.activeDataKey(`t${i}`);
    }
    here.time.ms = 91 * dayMs;
    damage = true;
    await here.runs.runIfMissed(untilEver);
    expect(here.results.map(({ rotated, failed }) => [rotated.length, failed.length])).toEqual([
      [0, 100],
      [3, 0],
    ]);
    expect(here.runs.failed()).toBe(100);
    expect(here.runs.last()).toBeDefined();
  });
});

describe("a run that is not complete", () => {
  /** A look at three due keys, of which only one can be rotated while the trouble is on. */
  async function failing(code: KmsErrorCode) {
    const trouble = { on: false };
    const provider = providerWith((operation, context) => {
      if (trouble.on && operation === "generateDataKey" && context.tenant_id !== "t0") {
        throw new KmsError(code, "as told");
      }
    });
    const here = replica({ provider });
    await makeKeys(here, 3);
    here.time.ms = 91 * dayMs;
    trouble.on = true;
    await here.runs.runIfMissed(untilEver);
    return { here, trouble };
  }

  /** A rotation that fails for `count` keys of a tenant, a batch at a time, with the batches that it was asked for. */
  function failingFor(tenantId: string, code: KmsErrorCode, count: number) {
    const batches: number[] = [];
    const error = new KmsError(code, "as told");
    const rotation: Pick<Rotation, "rotateDue"> = {
      async rotateDue({ limit = 0, except = new Set() } = {}) {
        batches.push(except.size);
        const failed = Array.from({ length: Math.min(limit, count - except.size) }, (_, i) => {
          return { tenantId, purpose: "data" as const, keyId: `${except.size + i}`, error };
        });
        return { ...none, failed, remaining: count };
      },
    };
    const here = replica({ rotation, hasOwnKey: (tenant) => tenant === "bank" });
    here.time.ms = dayMs;
    return { here, batches };
  }

  it.each<KmsErrorCode>(["PROVIDER_UNAVAILABLE", "STORE_UNAVAILABLE"])(
    "for want of an answer is not noted, gives the lease back, and is tried again at the next look: %s",
    async (code) => {
      const { here, trouble } = await failing(code);
      expect(here.results).toMatchObject([{ rotated: [{ tenantId: "t0" }], failed: [{ error: { code } }, {}] }]);
      expect([here.runs.last(), here.runs.failed()]).toEqual([undefined, 2]);
      expect(await isFree(here.store)).toBe(true);
      trouble.on = false;
      await here.runs.runIfMissed(untilEver);
      expect(here.results[1]!.rotated).toHaveLength(2);
      expect(here.runs.last()).toBeDefined();
    },
  );

  it("because it was refused is done: the next planned run tries again", async () => {
    const { here } = await failing("PROVIDER_DENIED");
    expect(here.runs.last()).toBeDefined();
  });

  it("ends where a batch gets nowhere", async () => {
    const { here, batches } = failingFor("acme", "PROVIDER_UNAVAILABLE", 1_000);
    await here.runs.runIfMissed(untilEver);
    expect(batches).toEqual([0]);
    expect(here.runs.last()).toBeUndefined();
  });

  it.each(["PROVIDER_UNAVAILABLE", "PROVIDER_DENIED"] as const)(
    "goes on behind a batch of tenants whose own provider keys fail (%s), and is done",
    async (code) => {
      const { here, batches } = failingFor("bank", code, 150);
      await here.runs.runIfMissed(untilEver);
      expect(batches).toEqual([0, 100]);
      expect(here.runs.last()).toBeDefined();
      expect(here.runs.failed()).toBe(150);
    },
  );

  it("is not done where the store failed for such a tenant", async () => {
    const { here } = failingFor("bank", "STORE_UNAVAILABLE", 1);
    await here.runs.runIfMissed(untilEver);
    expect(here.runs.last()).toBeUndefined();
  });

  it("throws what the store said, and gives the lease back", async () => {
    let down = true;
    const store = storeWith((name) => {
      if (down && name === "due") throw new KmsError("STORE_UNAVAILABLE", "down");
    });
    const here = replica({ store });
    here.time.ms = dayMs;
    expect(await thrownBy(() => here.runs.runIfMissed(untilEver))).toBeKmsError("STORE_UNAVAILABLE");
    expect(await isFree(store)).toBe(true);
    down = false;
    await here.runs.runIfMissed(untilEver);
    expect(here.runs.last()).toBeDefined();
  });
});

describe("the lease of a run", () => {
  it("that another replica has leaves nothing to do", async () => {
    const here = replica();
    here.time.ms = dayMs;
    await here.store.lease("rotation/2", "there", 60_000);
    await here.runs.runIfMissed(untilEver);
    expect(here.results).toEqual([]);
    expect(here.runs.last()).toBeUndefined();
  });

  it("that another took over, this one having been stopped and resumed, ends the run before it writes", async () => {
    const store = memoryStore(realTime);
    const here = replica({
      store,
      rotation: {
        async rotateDue(request, signal) {
          await store.lease("rotation/2", "here", 0); // its time passed
          await store.lease("rotation/2", "there", 60_000);
          return keyring.rotateDue(request, signal);
        },
      },
    });
    const { keyring } = here;
    await makeKeys(here, 3);
    here.time.ms = 91 * dayMs;
    expect(await thrownBy(() => here.runs.runIfMissed(untilEver))).toBeKmsError("LEASE_LOST", "is over");
    expect((await store.counts()).byPurpose.data).toEqual({ ACTIVE: 3 });
    expect(here.runs.last()).toBeUndefined();
    expect(await isFree(store)).toBe(false);
  });

  it("is renewed while a batch takes long, and the batch ends when that fails", async () => {
    const { store, calls } = countingStore();
    const renewed = Promise.withResolvers<void>();
    let reason: unknown;
    const here = replica({
      leaseTtlMs: 15,
      store: {
        ...store,
        async lease(name, holder, ttlMs) {
          const isOver = calls.filter((call) => call === "lease").length > 4 && ttlMs > 0;
          if (isOver) renewed.resolve();
          const answer = await store.lease(name, holder, 60_000 * Math.sign(ttlMs));
          return isOver ? { ...answer, generation: undefined } : answer;
        },
      },
      rotation: {
        async rotateDue(_request, signal) {
          await renewed.promise;
          await new Promise((resolve) => signal!.addEventListener("abort", resolve, { once: true }));
          reason = signal!.reason;
          throw reason;
        },
      },
    });
    here.time.ms = dayMs;
    expect(await thrownBy(() => here.runs.runIfMissed(untilEver))).toBeKmsError("LEASE_LOST", "is over");
    expect(reason).toBeKmsError("LEASE_LOST");
  });

  it("is not taken again by a renewal that is under way when the run ends", async () => {
    const store = memoryStore(realTime);
    const renewing = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    let asked = 0;
    const here = replica({
      leaseTtlMs: 15,
      store: {
        ...store,
        async lease(name, holder, ttlMs) {
          asked += 1;
          if (asked === 3) {
            renewing.resolve();
            await ended.promise;
          }
          return store.lease(name, holder, 60_000 * Math.sign(ttlMs));
        },
      },
      rotation: {
        async rotateDue() {
          await renewing.promise;
          setImmediate(ended.resolve);
          return none;
        },
      },
    });
    here.time.ms = dayMs;
    await here.runs.runIfMissed(untilEver);
    await turn();
    await turn();
    expect(here.runs.last()).toBeDefined();
    expect(await isFree(store)).toBe(true);
  });

  it("is given back when the service stops, and the keys that were begun are whole", async () => {
    const stop = new AbortController();
    let hold = false;
    const provider = providerWith((operation) => {
      if (operation !== "generateDataKey") return;
      if (hold) stop.abort();
      return turn();
    });
    const here = replica({ provider });
    await makeKeys(here, 20);
    here.time.ms = 91 * dayMs;
    hold = true;
    expect(await thrownBy(() => here.runs.runIfMissed(stop.signal))).toBeKmsError("CANCELLED");
    expect(await isFree(here.store)).toBe(true);
    expect(here.runs.last()).toBeUndefined();
    const { PENDING, ACTIVE, RETIRED = 0 } = (await here.store.counts()).byPurpose.data;
    expect([PENDING, ACTIVE]).toEqual([undefined, 20]);
    expect(RETIRED).toBeLessThanOrEqual(4);
  });
});
