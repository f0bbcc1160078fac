import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { heldLeases, leasedWork, workOf } from "../../src/store/held-leases.ts";
import { memoryStore, openMemory } from "../../src/store/sqlite/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { thrownBy } from "../support/matchers.ts";
import { storeContract } from "../support/store-contract.ts";
import { realTime } from "../../src/runtime/time.ts";

storeContract("whose leases are watched", () => {
  const locked = openMemory(realTime);
  return {
    ...locked,
    unlock: async (key) => heldLeases(await locked.unlock(key), realTime.monotonicMs).store,
  } as typeof locked;
});

const at = new Date("2026-01-01T00:00:00.000Z");
const ttlMs = 60_000;

/** A store of two replicas, and a clock of the first. */
function replicas(changes: (store: Store) => Partial<Store> = () => ({})) {
  const other = memoryStore(realTime);
  const clock = { ms: 0 };
  const { store, holds } = heldLeases({ ...other, ...changes(other) }, () => clock.ms);
  const held = () => leasedWork.filter(holds);
  return { store, other, clock, held };
}

describe("a lease", () => {
  it("is held from its answer until it is finished", async () => {
    const { store, held } = replicas();
    expect(held()).toEqual([]);
    const { generation } = await store.lease("rotation/2", "a", ttlMs);
    expect(held()).toEqual(["rotation"]);
    await store.finishLease({ name: "rotation/2", generation: generation! }, at);
    expect(held()).toEqual([]);
  });

  it("is held until it is given back", async () => {
    const { store, held } = replicas();
    await store.lease("maintenance/2", "a", ttlMs);
    await store.lease("integrity", "a", ttlMs);
    expect(held()).toEqual(["integrity", "destruction"]);
    await store.lease("integrity", "a", 0);
    expect(held()).toEqual(["destruction"]);
  });

  it("is not held while another has it, nor once another took it", async () => {
    const { store, other, held } = replicas();
    await other.lease("integrity", "b", ttlMs);
    await store.lease("integrity", "a", ttlMs);
    expect(held()).toEqual([]);
    await store.lease("rotation/2", "a", ttlMs);
    await other.lease("rotation/2", "a", 0); // as if its time were over
    await other.lease("rotation/2", "b", ttlMs);
    await store.lease("rotation/2", "a", ttlMs);
    expect(held()).toEqual([]);
  });

  it("is held for its time, from when it was asked for, and on by a renewal", async () => {
    const { store, clock, held } = replicas();
    await store.lease("integrity", "a", ttlMs);
    clock.ms = ttlMs - 1;
    expect(held()).toEqual(["integrity"]);
    await store.lease("integrity", "a", ttlMs);
    clock.ms = 2 * ttlMs - 2;
    expect(held()).toEqual(["integrity"]);
    clock.ms = 2 * ttlMs - 1;
    expect(held()).toEqual([]);
  });

  it("counts from the question, though the answer is late", async () => {
    const answer = Promise.withResolvers<void>();
    const { store, clock, held } = replicas((plain) => ({
      async lease(...wish) {
        await answer.promise;
        return plain.lease(...wish);
      },
    }));
    const asked = store.lease("integrity", "a", ttlMs);
    clock.ms = ttlMs;
    answer.resolve();
    expect((await asked).generation).toBe(1);
    expect(held()).toEqual([]);
  });

  it("stays held while the store does not answer, for its time", async () => {
    const gone = () => Promise.reject(new KmsError("STORE_UNAVAILABLE", "gone"));
    let isAway = false;
    const { store, clock, held } = replicas((plain) => ({
      lease: (...wish) => (isAway ? gone() : plain.lease(...wish)),
      finishLease: (...fence) => (isAway ? gone() : plain.finishLease(...fence)),
    }));
    const { generation } = await store.lease("integrity", "a", ttlMs);
    isAway = true;
    await thrownBy(() => store.lease("integrity", "a", ttlMs));
    await thrownBy(() => store.lease("integrity", "a", 0));
    await thrownBy(() => store.finishLease({ name: "integrity", generation: generation! }, at));
    expect(held()).toEqual(["integrity"]);
    clock.ms = ttlMs;
    expect(held()).toEqual([]);
  });

  it("is not held once finishing it finds that it is lost", async () => {
    const { store, other, held } = replicas();
    const { generation } = await store.lease("integrity", "a", ttlMs);
    await other.lease("integrity", "a", 0);
    const error = await thrownBy(() => store.finishLease({ name: "integrity", generation: generation! }, at));
    expect(error).toBeKmsError("LEASE_LOST");
    expect(held()).toEqual([]);
  });

  it("is that of probes while one of several is held", async () => {
    const { store, held } = replicas();
    const one = await store.lease("probe/0011", "a", ttlMs);
    await store.lease("probe/2233", "a", ttlMs);
    await store.finishLease({ name: "probe/0011", generation: one.generation! }, at);
    expect(held()).toEqual(["probe"]);
    await store.lease("probe/2233", "a", 0);
    expect(held()).toEqual([]);
  });

  it("is not told under a name that no work has", async () => {
    const { store, held } = replicas();
    await store.lease("tenant-acme", "a", ttlMs);
    expect(held()).toEqual([]);
    expect(workOf("constructor")).toBeUndefined();
  });
});

it("has work for the name of each lease that the service takes", () => {
  const src = join(import.meta.dirname, "..", "..", "src");
  const takers = readdirSync(src, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts") && !/^(store|cli)\//.test(path))
    .map((path) => readFileSync(join(src, path), "utf8"))
    .filter((code) => code.includes("store.lease("));
  const names = takers.map((code) => /leaseName = "([^"]+)"|function leaseOf.*\n +return `(\w+\/)/.exec(code));
  expect(names.map((found) => workOf(found?.[1] ?? found?.[2] ?? "")).sort()).toEqual([...leasedWork].sort());
});
