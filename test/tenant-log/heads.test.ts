/** Which head of a log is believed, and to which log a tenant's batches go. */
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { believe, createHeads } from "../../src/tenant-log/heads.ts";
import { emptyTree, growTree, newNodes } from "../../src/tlog/merkle.ts";
import type { LogHead } from "../../src/store/log-store.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import { thrownBy } from "../support/matchers.ts";
import type { Store } from "../../src/store/store.ts";
import { addKey } from "../support/store-fixture.ts";
import { grown, newLog } from "../support/log-store-fixture.ts";
import { filledLog, grownLog } from "../support/filled-log.ts";
import { realTime } from "../../src/runtime/time.ts";
import { wallTime } from "../support/wall-time.ts";

const leaves = randomBytes(32 * 10);

function headOf(size: number, changes: Partial<LogHead> = {}): LogHead {
  const { after, root } = growTree(emptyTree, leaves.subarray(0, 32 * size));
  return { ...newLog(), ...after, root, ...changes };
}

describe("a head", () => {
  it("is believed that goes on from an earlier one, or is the same", () => {
    for (const earlier of [undefined, headOf(0), headOf(4), headOf(5)]) {
      expect(() => believe(headOf(5), earlier)).not.toThrow();
    }
  });

  it("is believed of a later log, which begins anew", () => {
    expect(() => believe(headOf(0, { number: 2 }), headOf(5))).not.toThrow();
  });

  it("is DATA_LOSS whose frontier leads to another root", async () => {
    const { root } = headOf(4);
    expect(await thrownBy(() => believe(headOf(5, { root })))).toBeKmsError("DATA_LOSS", "root");
  });

  it("is DATA_LOSS behind one that was seen before: shorter, other at the same size, or of an earlier log", async () => {
    const other = growTree(emptyTree, randomBytes(32 * 5));
    const setBack = [headOf(3), headOf(5, { root: other.root, frontier: other.after.frontier }), headOf(9)];
    const earlier = [headOf(5), headOf(5), headOf(0, { number: 2 })];
    for (const [at, head] of setBack.entries()) {
      expect(await thrownBy(() => believe(head, earlier[at]))).toBeKmsError("DATA_LOSS", "set back");
    }
  });
});

describe("the open log of a tenant", () => {
  async function openedBy(store: Store, issuer = "kms.example.com") {
    const { keyId } = (await store.active("acme", "signing")) ?? (await addKey(store, { purpose: "signing" }));
    return createHeads({ store, issuer, time: wallTime(() => new Date(0)) }).open("acme", keyId);
  }

  it("is made once, however many ask at once, and keeps its origin", async () => {
    const store = memoryStore(realTime);
    await addKey(store, { purpose: "signing" });
    const opened = await Promise.all(Array.from({ length: 5 }, () => openedBy(store)));
    for (const head of opened) expect(head).toMatchObject({ number: 1, size: 0, origin: "kms.example.com/acme" });
    expect(await openedBy(store, "other.example.com")).toMatchObject({ origin: "kms.example.com/acme" });
  });

  it("is not for a key that was rotated before it was there, and is for one that was ACTIVE since", async () => {
    const store = memoryStore(realTime);
    const { keyId: retired } = await addKey(store, { purpose: "signing" });
    const { keyId: active } = await addKey(store, { purpose: "signing" });
    const heads = createHeads({ store, issuer: "kms.example.com", time: wallTime(() => new Date(0)) });
    expect(await heads.open("acme", retired)).toBeUndefined();
    expect(await heads.open("acme", active)).toMatchObject({ number: 1 });
    expect(await heads.open("acme", retired)).toBeUndefined();
    expect(await heads.open("acme", active)).toMatchObject({ number: 1 });
    await addKey(store, { purpose: "signing" });
    heads.doubt("acme");
    expect(await heads.open("acme", active)).toMatchObject({ number: 1 });
  });

  it("is a new one after a log that ended with its backup, under a name of its own", async () => {
    const store = memoryStore(realTime);
    await store.createLog(newLog({ origin: "kms.example.com/acme", state: "restored" }));
    expect(await openedBy(store)).toMatchObject({ number: 2, origin: "kms.example.com/acme/2", state: "open" });
    expect((await store.logHeads("acme")).map(({ state }) => state)).toEqual(["restored", "open"]);
  });
});

describe("the head that a process knows", () => {
  async function setUp() {
    const stores = { now: memoryStore(realTime) };
    const { keyId } = await addKey(stores.now, { purpose: "signing" });
    const store: Store = {
      ...stores.now,
      logHead: (...given) => stores.now.logHead(...given),
      logHashes: (...given) => stores.now.logHashes(...given),
    };
    const heads = createHeads({ store, issuer: "kms.example.com", time: wallTime(() => new Date(0)) });
    const known = await filledLog(stores.now, 300);
    const open = () => heads.open("acme", keyId);
    await open();
    heads.doubt("acme");
    return { stores, heads, open, known };
  }

  it("is followed by one that other replicas grew from it, however often", async () => {
    const { stores, heads, open, known } = await setUp();
    let head = known;
    for (const size of [301, 512, 1000]) {
      head = await grownLog(stores.now, head, size);
      expect(await open()).toMatchObject({ size });
      heads.doubt("acme");
    }
  });

  it("is not followed by a larger one of a store that was set back and went another way", async () => {
    const { stores, open } = await setUp();
    stores.now = memoryStore(realTime);
    const old = await filledLog(stores.now, 200);
    const growth = growTree(old, randomBytes(32 * 200));
    const hashes = [0, 1].map((tileLevel) => {
      const { start, hashes: nodes } = newNodes(growth, 8 * tileLevel);
      return { tileLevel, start, hashes: new Uint8Array(nodes) };
    });
    const next = { ...old, ...growth.after, root: new Uint8Array(growth.root) };
    await stores.now.appendLog({ ...grown(old, 200), next, hashes });
    for (let attempt = 0; attempt < 2; attempt += 1) {
      expect(await thrownBy(open)).toBeKmsError("DATA_LOSS", "set back");
    }
  });
});
