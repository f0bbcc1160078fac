/** Rotation: when, of what, once a request, and one winner among many. */
import { describe, expect, it } from "vitest";
import { KmsError, type KmsErrorCode } from "../../../src/errors.ts";
import type { Keyring } from "../../../src/keys/keyring.ts";
import type { Provider } from "../../../src/provider/provider.ts";
import { memoryStore } from "../../../src/store/sqlite/memory.ts";
import { thrownBy } from "../../support/matchers.ts";
import type { Store } from "../../../src/store/store.ts";
import {
  countingStore,
  dayMs,
  disabling,
  providerWith,
  setUp,
  shared,
  storeWith,
  turn,
} from "../../support/keys-fixture.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { wallTime } from "../../support/wall-time.ts";

const data = ["data"] as const;

const unavailable = () => Promise.reject(new KmsError("STORE_UNAVAILABLE", "down"));

/** A store whose ACTIVE record of a tenant's data key fails its authentication. */
const damaged = (store: Store, tenantId: string) =>
  storeWith((name, ...[tenant, purpose]) => {
    if (name === "active" && tenant === tenantId && purpose === "data") throw new KmsError("DATA_LOSS", "damaged");
  }, store);

/** A provider that does not answer when `trouble` has an operation, for a tenant if it names one. */
function troubled() {
  const trouble: { operation?: string; tenantId?: string } = {};
  const provider = providerWith((operation, context) => {
    const isOf = trouble.tenantId === undefined || trouble.tenantId === context.tenant_id;
    if (operation === trouble.operation && isOf) throw new KmsError("PROVIDER_UNAVAILABLE", "down");
  });
  return { trouble, provider };
}

async function makeBoth(keyring: Keyring, tenantId = "acme") {
  return { data: await keyring.activeDataKey(tenantId), signing: await keyring.activeSigningKey(tenantId) };
}

describe("rotating a tenant", () => {
  it("puts a new version of each key in use at once, with no provider call but the two that make it", async () => {
    const { keyring, store, calls } = setUp();
    const old = await makeBoth(keyring);
    const before = calls.total;
    const { rotated, ...rest } = await keyring.rotate({ tenantId: "acme", force: true });
    expect(rest).toEqual({ skipped: [], failed: [], remaining: 0 });
    expect(rotated).toMatchObject([
      { tenantId: "acme", purpose: "data", retiredKeyId: old.data.keyId, version: 2 },
      { tenantId: "acme", purpose: "signing", retiredKeyId: old.signing.keyId, version: 2 },
    ]);
    expect(keyring.activeDataKey("acme")).toMatchObject({ keyId: rotated[0]!.keyId });
    expect(keyring.activeSigningKey("acme")).toMatchObject({ keyId: rotated[1]!.keyId });
    expect(calls.total - before).toBe(4);
    expect((await store.get("acme", old.data.keyId))?.state).toBe("RETIRED");
    await turn();
    expect(() => old.signing.key.sign(new Uint8Array(1))).toThrow(KmsError);
    expect((await keyring.dataKey("acme", old.data.keyId)).keyId).toBe(old.data.keyId);
  });

  it("costs the same with a hundred versions as with one", async () => {
    const { store, calls } = countingStore();
    const { keyring, time, calls: providerCalls } = setUp({ store });
    await keyring.activeDataKey("acme");
    async function cost() {
      calls.length = 0;
      const before = providerCalls.total;
      await keyring.rotate({ tenantId: "acme", purposes: data, force: true, requestId: `r${time.ms}` });
      await keyring.activeDataKey("acme");
      time.ms += dayMs; // the cached records are too old to be believed
      await keyring.activeDataKey("acme");
      return { store: [...calls], provider: providerCalls.total - before };
    }
    const first = await cost();
    for (let i = 0; i < 98; i += 1) await keyring.rotate({ tenantId: "acme", purposes: data, force: true });
    expect(await cost()).toEqual(first);
    expect(first.store).not.toContain("list");
    expect((await store.active("acme", "data"))?.version).toBe(101);
  });

  it("is in the audit trail with who asked for it, the service itself unless it is said", async () => {
    const { keyring, store } = setUp();
    await keyring.activeDataKey("acme");
    await keyring.rotate({ tenantId: "acme", force: true, requestId: "r1" });
    const by = { actor: "ann", requestId: "r2" };
    await keyring.rotate({ tenantId: "acme", force: true, requestId: "r2", by });
    await keyring.rotateDue({ force: true, by: { actor: "bob", requestId: "" } });
    const rows = await store.auditEvents({ limit: 100 });
    expect(rows.map(({ action, actor, requestId }) => `${action} ${actor} ${requestId}`.trim())).toEqual([
      "create fluo-kms",
      ...["retire fluo-kms r1", "rotate fluo-kms r1"],
      ...["retire ann r2", "rotate ann r2"],
      ...["retire bob", "rotate bob"],
    ]);
  });

  it("fails as a whole where the store gives no answer before anything was done", async () => {
    const honest = memoryStore(realTime);
    const { keyring } = setUp({ store: { ...honest, active: unavailable } });
    expect(await thrownBy(() => keyring.rotate({ tenantId: "acme", force: true }))).toBeKmsError("STORE_UNAVAILABLE");
  });

  it("skips a key that is not due, and says when it is", async () => {
    const { keyring, time, calls } = setUp();
    const { keyId } = await keyring.activeDataKey("acme");
    const before = calls.total;
    time.ms = 90 * dayMs - 1;
    expect(await keyring.rotate({ tenantId: "acme" })).toEqual({
      rotated: [],
      skipped: [
        { tenantId: "acme", purpose: "data", keyId, version: 1, reason: "not due until 2026-04-01T00:00:00.000Z" },
      ],
      failed: [],
      remaining: 0,
    });
    expect(calls.total).toBe(before);
    time.ms = 90 * dayMs;
    expect((await keyring.rotate({ tenantId: "acme" })).rotated).toHaveLength(1);
  });

  it("changes nothing in a dry run", async () => {
    const { keyring, store, calls } = setUp();
    const { keyId } = await keyring.activeDataKey("acme");
    const [before, records] = [calls.total, await store.list("acme", "data")];
    const { rotated } = await keyring.rotate({ tenantId: "acme", force: true, dryRun: true, requestId: "r1" });
    expect(rotated).toEqual([{ tenantId: "acme", purpose: "data", retiredKeyId: keyId, keyId: undefined, version: 2 }]);
    expect(calls.total).toBe(before);
    expect(await store.list("acme", "data")).toEqual(records);
    expect(await store.request("acme", "r1")).toBeUndefined();
  });

  it("makes a new key where none is active, due or not", async () => {
    const { keyring, store } = setUp();
    const { keyId } = await keyring.activeDataKey("acme");
    const record = (await store.active("acme", "data"))!;
    await store.update(record, { ...record, state: "DISABLED", previousState: "ACTIVE" }, disabling);
    keyring.invalidate("acme", keyId);
    expect(await thrownBy(() => keyring.activeDataKey("acme"))).toBeKmsError("KEY_UNUSABLE");
    const { rotated } = await keyring.rotate({ tenantId: "acme" });
    expect(rotated).toMatchObject([{ retiredKeyId: undefined, version: 2 }]);
    expect(keyring.activeDataKey("acme")).toMatchObject({ keyId: rotated[0]!.keyId });
    expect((await store.get("acme", keyId))?.state).toBe("DISABLED");
  });

  it("refuses a tenant without keys, and makes it none", async () => {
    const { keyring, store, calls } = setUp();
    expect(await thrownBy(() => keyring.rotate({ tenantId: "acme", force: true }))).toBeKmsError("NOT_FOUND", "acme");
    await keyring.activeDataKey("acme");
    const signing = () => keyring.rotate({ tenantId: "acme", purposes: ["signing"], force: true });
    expect(await thrownBy(signing)).toBeKmsError("NOT_FOUND", "signing");
    expect(await store.list("acme", "signing")).toEqual([]);
    expect(calls.total).toBe(2);
  });

  it("reports a key that failed, or whose record is damaged, leaves it in use and goes on with the next", async () => {
    const { provider, trouble } = troubled();
    const { keyring, store } = setUp({ provider });
    const old = await makeBoth(keyring);
    const failing = { tenantId: "acme", purpose: "data" };
    const other = setUp({ store: damaged(store, "acme"), provider }).keyring;
    const damage = await other.rotate({ tenantId: "acme", force: true });
    expect(damage.rotated).toMatchObject([{ purpose: "signing" }]);
    expect(damage.failed).toMatchObject([{ ...failing, keyId: undefined, error: { code: "DATA_LOSS" } }]);
    trouble.operation = "generateDataKey";
    const { rotated, failed } = await keyring.rotate({ tenantId: "acme", force: true });
    expect(rotated).toMatchObject([{ purpose: "signing" }]);
    expect(failed).toMatchObject([{ ...failing, error: { code: "PROVIDER_UNAVAILABLE" } }]);
    expect(await keyring.activeDataKey("acme")).toBe(old.data);
  });

  it("does nothing for a caller that is gone", async () => {
    const { keyring, store } = setUp();
    await keyring.activeDataKey("acme");
    const call = () => keyring.rotate({ tenantId: "acme", force: true }, AbortSignal.abort());
    expect(await thrownBy(call)).toBeKmsError("CANCELLED");
    expect(await store.list("acme", "data")).toHaveLength(1);
  });
});

describe("rotations at the same time", () => {
  it("make one new version; the others conflict and leave nothing behind", async () => {
    const { store, provider } = shared();
    const replicas = Array.from({ length: 8 }, () => setUp({ store, provider }).keyring);
    await replicas[0]!.activeDataKey("acme");
    const results = await Promise.all(
      replicas.map((keyring) => keyring.rotate({ tenantId: "acme", purposes: data, force: true })),
    );
    expect(results.flatMap(({ rotated }) => rotated)).toHaveLength(1);
    const failed = results.flatMap((result) => result.failed);
    expect(failed).toHaveLength(7);
    for (const { error } of failed) expect(error).toBeKmsError("CONFLICT");
    expect((await store.counts()).byPurpose.data).toEqual({ ACTIVE: 1, RETIRED: 1 });
    // All use the new one at once, those that lost too.
    const { keyId } = (await store.active("acme", "data"))!;
    for (const keyring of replicas) expect((await keyring.activeDataKey("acme")).keyId).toBe(keyId);
  });

  it("get the same answer where they are the same request", async () => {
    const { keyring, store } = setUp();
    await keyring.activeDataKey("acme");
    const request = { tenantId: "acme", purposes: data, force: true, requestId: "r1" };
    const results = await Promise.all(Array.from({ length: 8 }, () => keyring.rotate(request)));
    expect(new Set(results.map((result) => JSON.stringify(result))).size).toBe(1);
    expect(results[0]!.rotated).toMatchObject([{ version: 2 }]);
    expect(await store.list("acme", "data")).toHaveLength(2);
  });

  it("let calls that are under way finish with a key that opens", async () => {
    const { keyring, time } = setUp();
    await keyring.activeDataKey("acme");
    time.ms = dayMs;
    const [key, { rotated }] = await Promise.all([
      keyring.activeDataKey("acme"),
      keyring.rotate({ tenantId: "acme", force: true }),
    ]);
    expect([rotated[0]!.keyId, rotated[0]!.retiredKeyId]).toContain(key.keyId);
    expect((await keyring.dataKey("acme", key.keyId)).keyId).toBe(key.keyId);
  });
});

describe("a request id", () => {
  it("gives a retry the first answer, without a second rotation or a provider call, and after further rotations too", async () => {
    const { keyring, store, calls } = setUp();
    await makeBoth(keyring);
    const request = { tenantId: "acme", force: true, requestId: "r1" };
    const first = await keyring.rotate(request);
    const before = calls.total;
    expect(await keyring.rotate(request)).toEqual(first);
    expect(calls.total).toBe(before);
    expect(await store.list("acme", "data")).toHaveLength(2);
    await keyring.rotate({ ...request, requestId: "r2" });
    expect(await keyring.rotate(request)).toEqual(first);
  });

  it("is refused with another body", async () => {
    const { keyring } = setUp();
    await makeBoth(keyring);
    await keyring.rotate({ tenantId: "acme", force: true, requestId: "r1" });
    const bodies = [{ purposes: data, force: true }, { force: false }, { force: true, dryRun: true }];
    for (const body of bodies) {
      const call = () => keyring.rotate({ tenantId: "acme", requestId: "r1", ...body });
      expect(await thrownBy(call)).toBeKmsError("REQUEST_ID_REUSED", "r1");
    }
  });

  it("belongs to its tenant", async () => {
    const { keyring } = setUp();
    await keyring.activeDataKey("acme");
    await keyring.activeDataKey("other");
    await keyring.rotate({ tenantId: "acme", force: true, requestId: "r1" });
    const { rotated } = await keyring.rotate({ tenantId: "other", requestId: "r1", force: true, purposes: data });
    expect(rotated).toMatchObject([{ tenantId: "other", version: 2 }]);
  });

  it("whose answer cannot be looked up after a failure leaves that failure to be told", async () => {
    let isMade = false;
    const failing = ["activate", "request"];
    let down = false;
    const store = storeWith((name) => {
      down ||= isMade && name === "activate";
      return down && failing.includes(name) ? unavailable() : undefined;
    });
    const { keyring } = setUp({ store });
    const { keyId } = await keyring.activeDataKey("acme");
    isMade = true;
    const { failed } = await keyring.rotate({ tenantId: "acme", purposes: data, force: true, requestId: "r1" });
    expect(failed).toMatchObject([{ keyId, error: { code: "STORE_UNAVAILABLE" } }]);
  });

  it("completes what the first attempt did not", async () => {
    const { provider, trouble } = troubled();
    const { keyring, store } = setUp({ provider });
    await makeBoth(keyring);
    trouble.operation = "encrypt";
    const request = { tenantId: "acme", force: true, requestId: "r1" };
    const first = await keyring.rotate(request);
    expect(first.failed).toMatchObject([{ purpose: "signing" }]);
    trouble.operation = "";
    const second = await keyring.rotate(request);
    expect(second.rotated).toEqual([...first.rotated, expect.objectContaining({ purpose: "signing", version: 2 })]);
    expect(await store.list("acme", "data")).toHaveLength(2);
  });
});

describe("rotating what is due", () => {
  it("takes the oldest first, up to the limit, and says how many remain", async () => {
    const { keyring, time } = setUp();
    for (const [day, tenantId] of ["a", "b", "c", "d"].entries()) {
      time.ms = day * dayMs;
      await keyring.activeDataKey(tenantId);
    }
    time.ms = 92 * dayMs;
    const { rotated, remaining } = await keyring.rotateDue({ limit: 2 });
    expect(rotated.map(({ tenantId }) => tenantId)).toEqual(["a", "b"]);
    expect(remaining).toBe(1);
    expect((await keyring.rotateDue()).rotated).toMatchObject([{ tenantId: "c" }]);
    expect(await keyring.rotateDue()).toEqual({ rotated: [], skipped: [], failed: [], remaining: 0 });
  });

  it("keeps to one purpose, and to a dry run, and counts every active key as due when it is forced", async () => {
    const { keyring, time, store } = setUp();
    await makeBoth(keyring);
    expect((await keyring.rotateDue({ force: true, dryRun: true, limit: 1 })).remaining).toBe(1);
    time.ms = 90 * dayMs;
    const dry = await keyring.rotateDue({ dryRun: true });
    expect(dry.rotated.map(({ keyId }) => keyId)).toEqual([undefined, undefined]);
    expect((await keyring.rotateDue({ purpose: "signing" })).rotated).toMatchObject([{ purpose: "signing" }]);
    expect(await store.list("acme", "data")).toHaveLength(1);
  });

  it("goes on after a key that failed, which remains", async () => {
    const { provider, trouble } = troubled();
    const { keyring, time } = setUp({ provider });
    for (const tenantId of ["a", "b", "c"]) await keyring.activeDataKey(tenantId);
    Object.assign(trouble, { operation: "generateDataKey", tenantId: "b" });
    time.ms = 90 * dayMs;
    const { rotated, failed, remaining } = await keyring.rotateDue();
    expect(rotated.map(({ tenantId }) => tenantId)).toEqual(["a", "c"]);
    expect(failed).toMatchObject([{ tenantId: "b" }]);
    expect(remaining).toBe(1);
  });

  it("goes on past a damaged record, and past what it is told to pass over", async () => {
    const honest = memoryStore(realTime);
    const { keyring, time } = setUp({ store: damaged(honest, "b") });
    const keyIds: string[] = [];
    for (const tenantId of ["a", "c", "d"]) keyIds.push((await keyring.activeDataKey(tenantId)).keyId);
    await setUp({ store: honest, time: wallTime(() => new Date(time.start - 1)) }).keyring.activeDataKey("b");
    const keyId = (await honest.active("b", "data"))!.keyId;
    time.ms = 90 * dayMs;
    const first = await keyring.rotateDue({ limit: 2, except: new Set([keyIds[0]!]) });
    expect(first.failed).toMatchObject([{ tenantId: "b", keyId, error: { code: "DATA_LOSS" } }]);
    expect(first.rotated).toMatchObject([{ tenantId: "c" }]);
    expect(first.remaining).toBe(3);
    const second = await keyring.rotateDue({ limit: 2, except: new Set([keyId]) });
    expect(second.rotated.map(({ tenantId }) => tenantId)).toEqual(["a", "d"]);
    expect(second.remaining).toBe(1);
  });

  it("leaves a key that another change overtook, and makes none in its place", async () => {
    const honest = memoryStore(realTime);
    const { keyring, time } = setUp({ store: honest });
    const { keyId } = await keyring.activeDataKey("acme");
    time.ms = 90 * dayMs;
    const late: Store = {
      ...honest,
      async due(...given) {
        const due = await honest.due(...given);
        await keyring.disable({ tenantId: "acme", keyId, by: { actor: "ann", requestId: "" } });
        return due;
      },
    };
    const { rotated, skipped, remaining } = await setUp({
      store: late,
      time: wallTime(() => new Date(time.start + time.ms)),
    }).keyring.rotateDue();
    expect(rotated).toEqual([]);
    expect(skipped).toMatchObject([{ keyId, version: 1, reason: "is DISABLED by now" }]);
    expect(remaining).toBe(0);
    expect(await honest.active("acme", "data")).toBeUndefined();
  });

  it("rotates four at once", async () => {
    const { provider: local } = shared();
    const slow: Provider["decrypt"] = async (...given) =>
      turn()
        .then(turn)
        .then(() => local.decrypt(...given));
    const { keyring, time, calls } = setUp({ provider: { ...local, decrypt: slow } });
    for (let i = 0; i < 20; i += 1) await keyring.activeDataKey(`t${i}`);
    time.ms = 90 * dayMs;
    calls.mostInFlight = 0;
    expect((await keyring.rotateDue()).rotated).toHaveLength(20);
    expect(calls.mostInFlight).toBe(4);
  });

  it("begins at most so many a second, over all calls, and a dry run does not wait", async () => {
    const at = { ms: 0 };
    const began: number[] = [];
    const provider = providerWith((operation) => operation === "generateDataKey" && began.push(at.ms));
    const { keyring } = setUp({
      provider,
      maxPerSecond: 50,
      time: {
        ...realTime,
        monotonicMs: () => at.ms,
        async sleep(ms) {
          const until = at.ms + ms;
          await turn();
          at.ms = Math.max(at.ms, until);
        },
      },
    });
    for (let i = 0; i < 10; i += 1) await keyring.activeDataKey(`t${i}`);
    began.length = 0;
    await keyring.rotateDue({ force: true, dryRun: true });
    expect(at.ms).toBe(0);
    await keyring.rotateDue({ force: true, limit: 6 });
    await keyring.rotateDue({ force: true, limit: 4 });
    expect(began).toHaveLength(10);
    expect(at.ms).toBe(180);
  });

  it("lets the loop turn between keys, though nothing else waits", async () => {
    const { keyring } = setUp();
    for (let i = 0; i < 40; i += 1) await keyring.activeDataKey(`t${i}`);
    let turns = 0;
    let isDone = false;
    const counting = (async () => {
      while (!isDone) {
        await turn();
        turns += 1;
      }
    })();
    await keyring.rotateDue({ force: true });
    isDone = true;
    await counting;
    expect(turns).toBeGreaterThanOrEqual(10);
  });

  it("stops at once when the lease under which it works is over, and leaves nothing behind", async () => {
    const { keyring, store, calls } = setUp();
    for (let i = 0; i < 20; i += 1) await keyring.activeDataKey(`t${i}`);
    const { generation } = await store.lease("work", "here", 60_000);
    const fence = { name: "work", generation: generation! };
    expect((await keyring.rotateDue({ force: true, limit: 2, fence })).rotated).toHaveLength(2);
    await store.lease("work", "here", 0);
    await store.lease("work", "there", 60_000);
    const before = calls.generateDataKey;
    expect(await thrownBy(() => keyring.rotateDue({ force: true, fence }))).toBeKmsError(
      "LEASE_LOST",
      "the lease work",
    );
    expect(calls.generateDataKey - before).toBeLessThanOrEqual(8);
    expect((await store.counts()).byPurpose.data).toEqual({ ACTIVE: 20, RETIRED: 2 });
  });

  it("stops when its caller is gone", async () => {
    const { keyring, store } = setUp();
    for (let i = 0; i < 20; i += 1) await keyring.activeDataKey(`t${i}`);
    const caller = new AbortController();
    const rotating = thrownBy(() => keyring.rotateDue({ force: true }, caller.signal));
    await turn();
    caller.abort();
    expect(await rotating).toBeKmsError("CANCELLED");
    const { RETIRED = 0, PENDING } = (await store.counts()).byPurpose.data;
    expect(RETIRED).toBeLessThan(20);
    expect(PENDING).toBeUndefined();
  });
});

describe("a forced rotation of a young key", () => {
  const minAgeMs = 60_000;
  const force = { tenantId: "acme", purposes: data, force: true };

  it("is skipped, in a dry run too, until the key is old enough", async () => {
    const { keyring, time } = setUp({ minAgeMs });
    const { keyId } = await keyring.activeDataKey("acme");
    const skipped = [{ tenantId: "acme", purpose: "data", keyId, version: 1, reason: "young" }];
    for (const ms of [0, 1, minAgeMs - 1]) {
      time.ms = ms;
      expect(await keyring.rotate(force)).toEqual({ rotated: [], skipped, failed: [], remaining: 0 });
      expect(await keyring.rotate({ ...force, dryRun: true })).toMatchObject({ rotated: [], skipped });
      expect(await keyring.rotateDue({ force: true })).toMatchObject({ rotated: [], skipped });
    }
    time.ms = minAgeMs;
    expect(await keyring.rotate(force)).toMatchObject({ rotated: [{ retiredKeyId: keyId, version: 2 }], skipped: [] });
    expect((await keyring.rotate(force)).skipped).toMatchObject([{ version: 2, reason: "young" }]);
  });

  it("is not, where no age is set, where no key is active, and of a clock that was ahead", async () => {
    expect((await rotatedAtOnce(setUp())).rotated).toHaveLength(1);
    const { keyring, store } = setUp({ minAgeMs });
    const { keyId } = await keyring.activeDataKey("acme");
    const record = (await store.get("acme", keyId))!;
    await store.update(record, { ...record, state: "DISABLED", previousState: "ACTIVE" }, disabling);
    keyring.invalidate("acme", keyId);
    expect((await keyring.rotate(force)).rotated).toHaveLength(1);
    const ahead = setUp({ minAgeMs });
    ahead.time.ms = 3650 * dayMs;
    await ahead.keyring.activeDataKey("acme");
    ahead.time.ms = 0;
    expect((await ahead.keyring.rotate(force)).rotated).toHaveLength(1);
  });

  it("does not keep a young key from being marked as compromised, and replaced", async () => {
    const { keyring } = setUp({ minAgeMs });
    const { keyId } = await keyring.activeDataKey("acme");
    const by = { actor: "ann", requestId: "" };
    const { record, replacement } = await keyring.markCompromised({ tenantId: "acme", keyId, by });
    expect([record.state, replacement?.state]).toEqual(["COMPROMISED", "ACTIVE"]);
  });

  async function rotatedAtOnce({ keyring }: ReturnType<typeof setUp>) {
    await keyring.activeDataKey("acme");
    return keyring.rotate(force);
  }
});

describe("whoever observes rotations", () => {
  type Observed = [outcome: string, scope: string | undefined];

  /** Tenant `bank` has a provider key of its own, and `trouble` is what each provider call throws. */
  async function observed() {
    const told: Observed[] = [];
    const world = { trouble: undefined as KmsErrorCode | undefined };
    const { keyring, time } = setUp({
      provider: providerWith((operation) => {
        if (world.trouble && operation !== "decrypt") throw new KmsError(world.trouble, "as told");
      }),
      hasOwnKey: (tenantId) => tenantId === "bank",
      observe: (outcome, _seconds, scope) => told.push([outcome, scope]),
    });
    for (const tenantId of ["bank", "acme"]) await keyring.activeDataKey(tenantId);
    return { keyring, time, told, world };
  }

  it("is told of each that was made, of no tenant's affair", async () => {
    const { keyring, told } = await observed();
    await keyring.rotate({ tenantId: "bank", force: true, dryRun: true });
    expect(told).toEqual([]);
    await keyring.rotate({ tenantId: "bank", force: true });
    expect(told).toEqual([["success", undefined]]);
  });

  it.each(["PROVIDER_DENIED", "PROVIDER_UNAVAILABLE"] as const)(
    "is told that it is the affair of a tenant whose own key fails (%s), asked for or due",
    async (code) => {
      const { keyring, time, told, world } = await observed();
      world.trouble = code;
      await keyring.rotate({ tenantId: "bank", force: true });
      await keyring.rotate({ tenantId: "acme", force: true });
      expect(told.splice(0)).toEqual([
        ["failure", "tenant"],
        ["failure", "service"],
      ]);
      time.ms = 91 * dayMs;
      await keyring.rotateDue();
      expect(told.map(([, scope]) => scope).sort()).toEqual(["service", "tenant"]);
    },
  );

  it("is told that anything else is the service's affair, of such a tenant too", async () => {
    const { keyring, told, world } = await observed();
    world.trouble = "INTERNAL";
    await keyring.rotate({ tenantId: "bank", force: true });
    expect(told).toEqual([["failure", "service"]]);
  });
});
