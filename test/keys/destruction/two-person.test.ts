/** Destruction that takes two callers: what each may do, what lapses, races, and what becomes of the key meanwhile. */
import { describe, expect, it } from "vitest";
import type { ChangeRequest } from "../../../src/keys/record-changes.ts";
import type { KeyRecord } from "../../../src/store/key-record.ts";
import type { Store } from "../../../src/store/store.ts";
import { dayMs, setUp, storeWith } from "../../support/keys-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { wholeKeyring } from "../../support/whole-keyring.ts";
import { wallTime } from "../../support/wall-time.ts";

const ann = { actor: "token:ann", requestId: "r1", rule: "ops" };
const bob = { actor: "token:bob", requestId: "r2", rule: "destroyers" };
const minuteMs = 60_000;

async function begun(options: Parameters<typeof setUp>[0] = {}) {
  const policy = { needsTwo: true };
  const parts = setUp({ needsTwo: () => policy.needsTwo, ...options });
  const { keyring, store, time } = parts;
  const { keyId } = await keyring.activeDataKey("acme");
  const wish = (by: ChangeRequest["by"], days = 7, orAsRequested = false, token?: string) =>
    keyring.scheduleDestruction({ tenantId: "acme", keyId, by, days, orAsRequested, token });
  const cancel = (by = bob) => keyring.cancelDestruction({ tenantId: "acme", keyId, by });
  const stored = async () => (await store.get("acme", keyId))!;
  const at = (ms = time.ms) => new Date(time.start + ms);
  const waiting = (ms = time.ms) => ({
    by: "token:ann",
    request: { at: at(ms), rule: "ops", days: 7 },
    confirmedBy: undefined,
  });
  return { ...parts, policy, keyId, wish, cancel, stored, at, waiting };
}

async function trail(store: Store) {
  const rows = await store.auditEvents({ tenantId: "acme", limit: 100 });
  return rows.map(({ action, actor, rule, requestId }) => [action, actor, rule ?? "", requestId].join(" ").trim());
}

describe("the first call", () => {
  it("records a request, and leaves the key as it is, in use without another provider call", async () => {
    const { wish, stored, waiting, keyring, keyId, store, calls } = await begun();
    const before = await stored();
    const { total } = calls;
    const answered = await wish(ann);
    expect(answered).toEqual({ ...before, destruction: waiting() });
    expect(await stored()).toEqual(answered);
    expect((await keyring.activeDataKey("acme")).keyId).toBe(keyId);
    expect(calls.total).toBe(total);
    expect(await trail(store)).toEqual(["create fluo-kms", "request_destruction token:ann ops r1"]);
  });

  it("schedules by itself where one is enough, and records nobody", async () => {
    const { wish, policy, store, at } = await begun();
    policy.needsTwo = false;
    expect(await wish(ann)).toMatchObject({
      state: "DESTROY_SCHEDULED",
      destroyAt: at(7 * dayMs),
      destruction: undefined,
    });
    expect(await trail(store)).toEqual(["create fluo-kms", "schedule_destruction token:ann ops r1"]);
  });
});

describe("the second call", () => {
  it("of another identity by another rule schedules, its days counted from then, and the key is destroyed after them", async () => {
    const { wish, stored, time, at, store, keyring } = await begun();
    await wish(ann, 9);
    time.ms = 3 * dayMs;
    const answered = await wish(bob, 30, true); // which leaves the days open
    expect(answered).toMatchObject({ state: "DESTROY_SCHEDULED", destroyAt: at(12 * dayMs), previousState: "ACTIVE" });
    expect(answered.destruction).toEqual({ by: "token:ann", request: undefined, confirmedBy: "token:bob" });
    expect(await stored()).toEqual(answered);
    expect((await trail(store)).slice(1)).toEqual([
      "request_destruction token:ann ops r1",
      "schedule_destruction token:bob destroyers r2",
    ]);
    // Whoever asks again is answered the same.
    for (const by of [ann, bob]) expect(await wish(by, 30, true)).toEqual(answered);
    expect(await trail(store)).toHaveLength(3);
    time.ms = 12 * dayMs - 1;
    expect(await keyring.destroyDue()).toBe(0);
    time.ms += 1;
    expect(await keyring.destroyDue()).toBe(1);
    expect(await stored()).toMatchObject({ state: "DESTROYED", destruction: answered.destruction });
  });

  it("by the static token of the first, under another name and rule, confirms nothing", async () => {
    const { wish, stored } = await begun();
    const [token, other] = ["a".repeat(64), "b".repeat(64)];
    const requested = await wish(ann, 7, false, token);
    expect(await wish(bob, 7, false, token)).toEqual(requested);
    expect(await wish({ ...ann, rule: "destroyers" }, 7, false, other)).toEqual(requested);
    expect((await stored()).state).toBe("ACTIVE");
    expect((await wish(bob, 7, false, other)).state).toBe("DESTROY_SCHEDULED");
  });

  const unconfirmed: [who: string, by: ChangeRequest["by"]][] = [
    ["its own requester", ann],
    ["its own requester by another rule", { ...ann, rule: "destroyers" }],
    ["another whose destroy is of the same rule", { ...bob, rule: "ops" }],
  ];

  it.each(unconfirmed)("attack 53: of %s is answered as it is, unconfirmed", async (_who, by) => {
    const { wish, stored, time, waiting, store } = await begun();
    const requested = await wish(ann);
    const rows = await trail(store);
    time.ms = dayMs;
    expect(await wish(by)).toEqual(requested);
    expect(await stored()).toMatchObject({ state: "ACTIVE", destruction: waiting(0), destroyAt: undefined });
    expect(await trail(store)).toEqual(rows);
  });

  it("attack 53: after 7 days is a new request, of whoever makes it; a moment before, it confirms", async () => {
    for (const [ms, state] of [
      [7 * dayMs, "ACTIVE"],
      [7 * dayMs - 1, "DESTROY_SCHEDULED"],
    ] as const) {
      const { wish, time, at, store } = await begun();
      await wish(ann);
      time.ms = ms;
      const answered = await wish(bob, 30, true);
      const request = { at: at(), rule: "destroyers", days: 30 };
      expect(answered.state).toBe(state);
      if (state !== "ACTIVE") continue;
      expect(answered.destruction).toEqual({ by: "token:bob", request, confirmedBy: undefined });
      expect((await trail(store)).at(-1)).toBe("request_destruction token:bob destroyers r2");
      expect(await wish(ann, 30)).toMatchObject({ state: "DESTROY_SCHEDULED" });
    }
  });

  it.each([ann, bob])("attack 53: with other days is INVALID_ARGUMENT, of $actor", async (by) => {
    const { wish, stored } = await begun();
    const requested = await wish(ann);
    const error = await thrownBy(() => wish(by, 8));
    expect(error).toBeKmsError("INVALID_ARGUMENT", "is 7 in the request that waits");
    expect(await stored()).toEqual(requested);
  });

  it("where there are no rules is of the same, and confirms nothing", async () => {
    const { wish, stored } = await begun();
    await wish({ actor: "anonymous", requestId: "" });
    await wish({ actor: "somebody", requestId: "" });
    expect((await stored()).state).toBe("ACTIVE");
  });
});

describe("a request", () => {
  it("is cancelled, in the state that the key has, and has to be made anew", async () => {
    const { wish, cancel, stored, store, time } = await begun();
    await wish(ann);
    expect(await cancel()).toMatchObject({ state: "ACTIVE", destruction: undefined });
    expect((await trail(store)).at(-1)).toBe("cancel_destruction_request token:bob destroyers r2");
    expect(await thrownBy(() => cancel())).toBeKmsError("KEY_UNUSABLE", "is not scheduled");
    time.ms = 1;
    await wish(bob);
    expect((await stored()).destruction).toMatchObject({ by: "token:bob", confirmedBy: undefined });
    time.ms = 8 * dayMs; // when it has lapsed
    expect(await cancel()).toMatchObject({ state: "ACTIVE", destruction: undefined });
  });

  it("that was confirmed is cancelled as every destruction, and leaves nobody", async () => {
    const { wish, cancel, store } = await begun();
    await wish(ann);
    await wish(bob);
    expect(await cancel()).toMatchObject({ state: "DISABLED", destroyAt: undefined, destruction: undefined });
    expect((await trail(store)).at(-1)).toBe("cancel_destruction token:bob destroyers r2");
  });

  it.each([
    ["rotate", "RETIRED"],
    ["markCompromised", "COMPROMISED"],
    ["disable", "DISABLED"],
  ] as const)(
    "of a key that another call (%s) changes meanwhile stands, and is confirmed in that state",
    async (change, state) => {
      const { keyring, keyId, wish, stored, waiting } = await begun();
      await wish(ann);
      await keyring[change]({ tenantId: "acme", keyId, by: ann, force: true });
      expect(await stored()).toMatchObject({ state, destruction: waiting(0) });
      expect(await wish(bob)).toMatchObject({ state: "DESTROY_SCHEDULED", destruction: { confirmedBy: "token:bob" } });
    },
  );

  it("is no matter once one is enough again: that one schedules, nobody is recorded, and none is needed then", async () => {
    const { wish, policy, at } = await begun();
    await wish(ann);
    policy.needsTwo = false;
    const scheduled = await wish(ann, 30);
    expect(scheduled).toMatchObject({
      state: "DESTROY_SCHEDULED",
      destroyAt: at(30 * dayMs),
      destruction: undefined,
    });
    policy.needsTwo = true;
    expect(await wish(bob, 20)).toEqual(scheduled);
  });

  it("of a key that is destroyed is refused", async () => {
    const { wish, policy, keyring, time } = await begun();
    policy.needsTwo = false;
    await wish(ann);
    time.ms = 7 * dayMs;
    await keyring.destroyDue();
    policy.needsTwo = true;
    expect(await thrownBy(() => wish(bob))).toBeKmsError("KEY_UNUSABLE", "gone for good");
  });

  it("of a clock that was ahead is none once the clock is right, but for the minutes by which replicas differ", async () => {
    for (const [aheadMs, state] of [
      [5 * minuteMs, "DESTROY_SCHEDULED"],
      [5 * minuteMs + 1, "ACTIVE"],
      [3650 * dayMs, "ACTIVE"],
    ] as const) {
      const { wish, time, at } = await begun();
      time.ms = aheadMs;
      await wish(ann);
      time.ms = 0;
      const answered = await wish(bob);
      expect(answered.state).toBe(state);
      if (state === "ACTIVE") expect(answered.destruction).toMatchObject({ by: "token:bob", request: { at: at(0) } });
    }
  });
});

describe("two replicas that race", () => {
  /** Each reads before any of them writes. */
  async function racing(first: ChangeRequest["by"], second: ChangeRequest["by"], requested = false) {
    const parts = await begun();
    const { store, provider, time, keyId, wish } = parts;
    if (requested) await wish({ ...ann, actor: "token:carl", rule: "others" });
    const read = Promise.withResolvers<void>();
    let reads = 0;
    const together = storeWith((name) => {
      if (name !== "get" && name !== "update") return;
      if (name === "get") reads += 1;
      if (reads === 2) read.resolve();
      return name === "update" ? read.promise : undefined;
    }, store);
    const clock = () => new Date(time.start + time.ms);
    const replicas = [first, second].map((by) => {
      const keyring = wholeKeyring({ store: together, provider, time: wallTime(clock), needsTwo: () => true });
      return keyring.scheduleDestruction({ tenantId: "acme", keyId, by, days: 7 });
    });
    return { ...parts, outcomes: await Promise.allSettled(replicas) };
  }

  const failures = (outcomes: PromiseSettledResult<KeyRecord>[]) =>
    outcomes.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));

  it("for the first request: one is recorded, the other is told to try again, and then confirms", async () => {
    const { outcomes, stored, wish } = await racing(ann, bob);
    expect(failures(outcomes)).toHaveLength(1);
    expect(failures(outcomes)[0]).toBeKmsError("CONFLICT");
    const { destruction, state } = await stored();
    expect({ state, confirmedBy: destruction?.confirmedBy }).toEqual({ state: "ACTIVE", confirmedBy: undefined });
    expect(await wish(destruction?.by === ann.actor ? bob : ann)).toMatchObject({ state: "DESTROY_SCHEDULED" });
  });

  it("to confirm: one does", async () => {
    const { outcomes, stored, store } = await racing(ann, bob, true);
    expect(failures(outcomes)).toHaveLength(1);
    expect(await stored()).toMatchObject({ state: "DESTROY_SCHEDULED", destruction: { by: "token:carl" } });
    expect((await trail(store)).filter((row) => row.startsWith("schedule_destruction"))).toHaveLength(1);
  });
});

it("attack 53: a request stops no tenant whose provider is away", async () => {
  const parts = await begun();
  const { wish, cancel, keyring, keyId, provider } = parts;
  for (const operation of ["decrypt", "encrypt", "generateDataKey"] as const) {
    provider[operation] = async () => {
      throw new Error("away");
    };
  }
  await wish(ann);
  expect((await keyring.dataKey("acme", keyId)).keyId).toBe(keyId);
  expect((await keyring.activeDataKey("acme")).keyId).toBe(keyId);
  await cancel();
  expect((await keyring.activeDataKey("acme")).keyId).toBe(keyId);
});
