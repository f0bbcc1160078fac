import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import { longReads } from "../../src/store/long-reads.ts";
import {
  observedStore,
  type StoreOperation,
  storeOperations,
  type StoreOutcome,
} from "../../src/store/observed-store.ts";
import { memoryStore, openMemory } from "../../src/store/sqlite/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { fromNow } from "../support/from-now.ts";
import { logStoreContract } from "../support/log-store-contract.ts";
import { thrownBy } from "../support/matchers.ts";
import { storeContract } from "../support/store-contract.ts";
import { addKey, pendingKey } from "../support/store-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";

const opened = () => {
  const locked = openMemory(realTime);
  return {
    ...locked,
    unlock: async (key) => observedStore(await locked.unlock(key), () => {}, realTime),
  } as typeof locked;
};
storeContract("observed", opened);
logStoreContract("observed", opened);

function told(changes: Partial<Store> = {}) {
  const calls: [operation: StoreOperation, outcome: StoreOutcome][] = [];
  const seconds: number[] = [];
  const plain = { ...memoryStore(realTime), ...changes };
  const store = observedStore(
    plain,
    (operation, outcome, took) => {
      calls.push([operation, outcome]);
      seconds.push(took);
    },
    realTime,
  );
  return { plain, store, calls, seconds };
}

describe("an observed store", () => {
  it("tells of each call what it did, how it ended and how long it took", async () => {
    const { store, calls, seconds } = told();
    await store.active("acme", "data");
    await store.insertPending(pendingKey());
    await store.lease("work", "a", 60_000);
    await store.counts();
    expect(calls).toEqual([
      ["key_read", "ok"],
      ["key_write", "ok"],
      ["lease", "ok"],
      ["long_read", "ok"],
    ]);
    for (const each of seconds) {
      expect(each).toBeGreaterThanOrEqual(0);
      expect(each).toBeLessThan(60);
    }
  });

  it("tells of a failure once it is known, and throws it as it is", async () => {
    const error = new KmsError("STORE_UNAVAILABLE", "gone");
    const { promise, reject } = Promise.withResolvers<never>();
    const { store, calls } = told({ active: () => promise });
    const failing = thrownBy(() => store.active("acme", "data"));
    expect(calls).toEqual([]);
    reject(error);
    expect(await failing).toBe(error);
    expect(calls).toEqual([["key_read", "unavailable"]]);
  });

  it.each<[KmsErrorCode, StoreOutcome]>([
    ["CONFLICT", "conflict"],
    ["LEASE_LOST", "conflict"],
    ["REQUEST_ID_REUSED", "conflict"],
    ["NOT_FOUND", "conflict"],
    ["STORE_UNAVAILABLE", "unavailable"],
    ["DATA_LOSS", "data_loss"],
    ["INTERNAL", "other"],
    ["CANCELLED", "other"],
  ])("tells of %s as %s", async (code, outcome) => {
    const { store, calls } = told({ appendLog: () => Promise.reject(new KmsError(code, "so it is")) });
    await thrownBy(() => store.appendLog({} as never));
    expect(calls).toEqual([["log_append", outcome]]);
  });

  it("tells of an error that is none of ours, and of one that is thrown at once, as other", async () => {
    const at = () => {
      throw new TypeError("a bug");
    };
    const { store, calls } = told({ auditHead: () => Promise.reject(new Error("a bug")), witnessedTime: at });
    await thrownBy(() => store.auditHead());
    await thrownBy(() => store.witnessedTime());
    expect(calls).toEqual([
      ["heads", "other"],
      ["time", "other"],
    ]);
  });

  it("hands arguments on, and answers with what the store does", async () => {
    const { store, plain } = told();
    const record = await addKey(store, { publicKey: randomBytes(32), purpose: "signing" });
    expect(await store.get("acme", record.keyId)).toEqual(record);
    expect(await store.due(fromNow(1_000), 5, "data")).toEqual({ keys: [], total: 0 });
    expect((await store.due(fromNow(1_000), 5)).total).toBe(1);
    expect(await plain.get("acme", record.keyId)).toEqual(record);
  });

  it("tells of every method that asks something, long reads as such, and of no other member", async () => {
    const { store, plain, calls } = told();
    const names = Object.keys(plain) as (keyof Store)[];
    expect(names.filter((name) => store[name] === plain[name]).sort()).toEqual(["close", "name", "watch"]);
    const failing = told(Object.fromEntries(names.map((name) => [name, () => Promise.reject(new Error("asked"))])));
    for (const name of longReads) await thrownBy(() => (failing.store[name] as () => Promise<unknown>)());
    expect(failing.calls).toEqual(longReads.map(() => ["long_read", "other"]));
    expect(calls).toEqual([]);
    expect(storeOperations).toContain("long_read");
  });
});
