/** Uses become durable rows within a second, or no key is used. Timers are the test's, and so is the store's failing. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KmsError } from "../../src/errors.ts";
import {
  type AuditTrail,
  type AuditTrailOptions,
  createAuditTrail,
  durableWithinMs,
  stopsWithinMs,
} from "../../src/audit/trail.ts";
import { moreNames } from "../../src/audit/aggregated-refusals.ts";
import { maxNames, minuteMs } from "../../src/audit/refusals.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import type { AuditEvent } from "../../src/store/audit-store.ts";
import type { Store } from "../../src/store/store.ts";
import { thrownBy } from "../support/matchers.ts";
import { manualTime } from "../../src/runtime/manual-time.ts";
import { realTime } from "../../src/runtime/time.ts";
import { wallTime } from "../support/wall-time.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const keyId = "0".repeat(32);
const start = Date.parse("2026-01-01T00:00:00.000Z");

/** `answers` decides about each write in turn; without one more it is stored. */
function setUp(options: Partial<AuditTrailOptions> = {}) {
  const store = memoryStore(realTime);
  const answers: ((write: () => Promise<void>) => Promise<void>)[] = [];
  const writes: number[] = [];
  const problems: (string | undefined)[] = [];
  let nowMs = start;
  const appendAudit: Store["appendAudit"] = (events) => {
    writes.push(events.length);
    const write = () => store.appendAudit(events);
    return (answers.shift() ?? ((write) => write()))(write);
  };
  const trail = createAuditTrail({
    store: { appendAudit, auditHead: () => store.auditHead() },
    time: wallTime(() => new Date(nowMs)),
    onProblem: (problem) => problems.push(problem),
    ...options,
  });
  const advance = async (ms: number) => {
    nowMs += ms;
    await vi.advanceTimersByTimeAsync(ms);
    await storeIsIdle(store);
  };
  return { trail, store, answers, writes, problems, advance, rows: () => store.auditEvents({ limit: 10_000 }) };
}

/** Two uses 600 ms apart, whose writes wait for `first` and `second`. */
async function twoWaitingUses() {
  const made = setUp();
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  made.answers.push(
    (write) => first.promise.then(write),
    (write) => second.promise.then(write),
  );
  use(made.trail);
  await made.advance(600);
  use(made.trail);
  return { ...made, first, second };
}

/** What was asked of it before is done. */
async function storeIsIdle(store: Store): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await store.counts();
}

const fails = async () => {
  throw new KmsError("STORE_UNAVAILABLE", "the disk is full");
};
const use = (trail: AuditTrail, count = 1) => trail.used("ann", "encrypt_pii", "acme", keyId, "data", count);
const sum = (rows: readonly AuditEvent[]) => rows.reduce((total, { count }) => total + count, 0);

it("makes a use durable within the second, as one row with its count and the time of writing", async () => {
  const { trail, rows, advance } = setUp();
  for (let n = 0; n < 1_000; n++) use(trail, 2);
  expect(await rows()).toEqual([]);
  await advance(durableWithinMs);
  expect(await rows()).toMatchObject([
    { actor: "ann", action: "encrypt_pii", tenantId: "acme", keyId, purpose: "data", outcome: "OK", count: 2_000 },
  ]);
});

it("writes nothing when nothing happened", async () => {
  const { trail, writes, advance } = setUp();
  await advance(10 * durableWithinMs);
  use(trail);
  await advance(10 * durableWithinMs);
  await trail.close();
  expect(writes).toEqual([1]);
});

it("counts what happens while it writes into the next rows", async () => {
  const { trail, rows, answers, advance } = setUp();
  const { promise: written, resolve } = Promise.withResolvers<void>();
  answers.push((write) => written.then(write));
  use(trail);
  await advance(500);
  use(trail, 5);
  await advance(600);
  expect(await rows()).toEqual([]);
  resolve();
  await advance(500);
  expect((await rows()).map(({ count }) => count)).toEqual([1, 5]);
  trail.check();
});

it("lets no key be used while rows cannot be written, keeps what was counted, and recovers by itself", async () => {
  const { trail, rows, answers, problems, advance } = setUp();
  answers.push(fails, fails);
  trail.refused("eve", "sign_span", "acme", "", "PERMISSION_DENIED");
  use(trail, 3);
  trail.check();
  await advance(500);
  expect(await thrownBy(trail.check)).toBeKmsError("AUDIT_UNAVAILABLE");
  expect(trail.problem()).toContain("the disk is full");
  use(trail, 4); // was under way when it failed
  trail.refused("eve", "sign_span", "acme", "", "PERMISSION_DENIED");
  await advance(500);
  expect(await thrownBy(trail.check)).toBeKmsError("AUDIT_UNAVAILABLE");
  await advance(500);
  trail.check();
  expect(problems).toEqual(["audit rows cannot be written: the disk is full", undefined]);
  expect((await rows()).map(({ outcome, count }) => [outcome, count])).toEqual([
    ["OK", 7],
    ["PERMISSION_DENIED", 2],
  ]);
});

it("shows no more of a bug in a store than that there is one", async () => {
  const { trail, answers, advance } = setUp();
  answers.push(async () => {
    throw new TypeError("of secret things");
  });
  use(trail);
  await advance(500);
  expect(trail.problem()).toContain("see the log");
  expect(trail.problem()).not.toContain("secret");
});

it("lets no key be used from two and a half seconds after the first use on that a store which hangs has not, and again once it answers", async () => {
  const { trail, rows, answers, problems, advance } = setUp();
  const { promise: hung, resolve } = Promise.withResolvers<void>();
  answers.push((write) => hung.then(write));
  use(trail);
  await advance(stopsWithinMs - 1);
  trail.check();
  use(trail); // is written behind it, not at the same time
  await advance(1);
  expect(await thrownBy(trail.check)).toBeKmsError("AUDIT_UNAVAILABLE");
  await advance(60_000);
  expect(await rows()).toEqual([]);
  resolve();
  await advance(500);
  trail.check();
  expect(sum(await rows())).toBe(2);
  expect(problems).toEqual(["the store takes too long to write audit rows", undefined]);
});

it("counts from the use on, also where its write waits behind another", async () => {
  const { trail, problems, advance, first, second } = await twoWaitingUses();
  await advance(1_800);
  first.resolve(); // in time
  await advance(stopsWithinMs - 1_801);
  trail.check();
  await advance(1);
  expect(await thrownBy(trail.check)).toBeKmsError("AUDIT_UNAVAILABLE");
  second.resolve();
  await advance(0);
  trail.check();
  expect(problems).toHaveLength(2);
});

it("stays shut after a late write while a use behind it is later still", async () => {
  const { trail, problems, advance, first, second } = await twoWaitingUses();
  await advance(10_000);
  first.resolve();
  await advance(0);
  expect(await thrownBy(trail.check)).toBeKmsError("AUDIT_UNAVAILABLE");
  second.resolve();
  await advance(0);
  trail.check();
  expect(problems).toHaveLength(2);
});

it("tells the age of the oldest use that is not durable, whatever became of its write", async () => {
  const { trail, answers, advance } = setUp();
  expect(trail.unwrittenMs()).toBe(0);
  answers.push(fails, fails);
  use(trail);
  await advance(300);
  expect(trail.unwrittenMs()).toBe(300);
  await advance(300); // the first write has failed
  use(trail);
  expect(trail.unwrittenMs()).toBe(600);
  await advance(500); // so has the second
  expect(trail.unwrittenMs()).toBe(1_100);
  await advance(500);
  expect(trail.problem()).toBeUndefined();
  expect(trail.unwrittenMs()).toBe(0);
});

it("tells the age of a use whose write hangs, and then that of the use behind it", async () => {
  const { trail, advance, first, second } = await twoWaitingUses();
  await advance(400);
  expect(trail.unwrittenMs()).toBe(1_000);
  first.resolve();
  await advance(200);
  expect(trail.unwrittenMs()).toBe(600);
  second.resolve();
  await advance(0);
  expect(trail.unwrittenMs()).toBe(0);
});

it("counts a refusal as it counts a use", async () => {
  const { trail, advance } = setUp();
  trail.refused("ann", "encrypt_pii", "acme", keyId, "KEY_UNUSABLE");
  await advance(200);
  expect(trail.unwrittenMs()).toBe(200);
  await advance(400);
  expect(trail.unwrittenMs()).toBe(0);
});

it("accuses no store while this process was not scheduled", async () => {
  const time = manualTime();
  const answered = Promise.withResolvers<void>();
  const { trail, rows, answers, problems } = setUp({ time });
  answers.push((write) => answered.promise.then(write));
  use(trail);
  await time.advance(500); // the row is being written
  await time.skip(60_000); // the answer is there long before the loop can read it
  answered.resolve();
  await time.advance(durableWithinMs);
  expect(problems).toEqual([]);
  trail.check();
  expect(sum(await rows())).toBe(1);
});

it("writes many rows in several transactions, and after a failure only those that are not written yet", async () => {
  const { trail, rows, answers, writes, advance } = setUp();
  for (let n = 0; n < 2_500; n++) {
    trail.used("ann", "sign_span", `tenant-${n}`, n.toString(16).padStart(32, "0"), "signing", 1);
  }
  answers.push((write) => write(), fails);
  await advance(500);
  await advance(500);
  expect(writes).toEqual([1_000, 1_000, 1_000, 500]);
  expect(await rows()).toHaveLength(2_500);
  expect(sum(await rows())).toBe(2_500);
});

it("may count twice what was stored by a write that got no answer, and loses nothing", async () => {
  const { trail, rows, answers, advance } = setUp();
  answers.push(async (write) => {
    await write();
    return fails();
  });
  use(trail);
  await advance(1_000);
  expect((await rows()).map(({ count }) => count)).toEqual([1, 1]);
});

it("passes the steps round a write, and none round a failure", async () => {
  const passed: string[] = [];
  const { trail, answers, advance } = setUp({ step: (name) => passed.push(name) });
  answers.push(fails);
  use(trail);
  await advance(500);
  expect(passed).toEqual(["audit.flushing"]);
  await advance(500);
  expect(passed).toEqual(["audit.flushing", "audit.flushing", "audit.flushed"]);
});

it("tells its place in the chain, rows of the store's own included, and when that was durable", async () => {
  const { trail, store, advance } = setUp();
  expect(await trail.status()).toEqual({ head: undefined, problem: undefined });
  use(trail);
  await advance(500);
  const { head } = await trail.status();
  expect(head).toEqual({ ...(await store.auditHead()), durableAt: new Date(start + 500) });
  await store.appendAudit([{ ...(await store.auditEvents({ limit: 1 }))[0]!, action: "rotate" }]);
  await advance(100);
  expect((await trail.status()).head).toMatchObject({ sequence: 2, durableAt: new Date(start + 600) });
});

it("tells its last place and its problem while the store does not answer", async () => {
  const store = memoryStore(realTime);
  let isGone = false;
  const unlessGone = <T>(call: () => Promise<T>) => (isGone ? fails() : call()) as Promise<T>;
  const trail = createAuditTrail({
    store: {
      appendAudit: (events) => unlessGone(() => store.appendAudit(events)),
      auditHead: () => unlessGone(store.auditHead),
    },
    time: wallTime(() => new Date(start)),
  });
  use(trail);
  await vi.advanceTimersByTimeAsync(500);
  await storeIsIdle(store);
  const before = await trail.status();
  isGone = true;
  use(trail);
  await vi.advanceTimersByTimeAsync(500);
  expect(await trail.status()).toEqual({ head: before.head, problem: expect.stringContaining("the disk is full") });
});

it("writes what is left when it closes", async () => {
  const { trail, rows } = setUp();
  use(trail);
  await trail.close();
  expect(sum(await rows())).toBe(1);
});

it("says so when it closes and the rest cannot be written", async () => {
  const { trail, answers } = setUp();
  answers.push(fails);
  use(trail);
  expect(await thrownBy(trail.close)).toBeKmsError("AUDIT_UNAVAILABLE");
});

it("waits no longer than two seconds for a store that hangs when it closes", async () => {
  const { trail, answers, advance } = setUp();
  answers.push(() => new Promise(() => {}));
  use(trail);
  const closing = thrownBy(trail.close);
  await advance(2_000);
  expect(await closing).toBeKmsError("AUDIT_UNAVAILABLE");
});

it("keeps by which rule somebody did something, and was refused, while rows cannot be written", async () => {
  const { trail, answers, advance, rows } = setUp();
  answers.push(fails);
  trail.used("ann", "encrypt_pii", "acme", keyId, "data", 3, "web");
  trail.refused("ann", "decrypt_pii", "acme", keyId, "KEY_UNUSABLE", 2, "ops");
  for (let n = 0; n < 3; n += 1) await advance(500);
  expect((await rows()).map(({ action, rule, count }) => [action, rule, count])).toEqual([
    ["encrypt_pii", "web", 3],
    ["decrypt_pii", "ops", 2],
  ]);
});

describe("refusals without names", () => {
  const refuse = (trail: AuditTrail, count: number) => {
    for (let n = 0; n < count; n += 1) trail.refused("eve", "encrypt_pii", `tenant-${n}`, "", "PERMISSION_DENIED");
  };
  const nameless = (rows: readonly AuditEvent[]) => rows.filter(({ names }) => names !== undefined);

  it("are durable within the second when the first comes, and then each minute", async () => {
    const { trail, rows, advance } = setUp();
    refuse(trail, maxNames + 10);
    await advance(durableWithinMs);
    expect(nameless(await rows())).toMatchObject([{ count: 10, names: 10, at: new Date(start) }]);
    refuse(trail, maxNames + 20);
    await advance(durableWithinMs);
    expect(nameless(await rows())).toHaveLength(1);
    expect(sum(await rows())).toBe(2 * maxNames + 10);
    await advance(minuteMs);
    const second = start + durableWithinMs;
    expect(nameless(await rows()).slice(1)).toMatchObject([
      { count: 20, names: 20, firstAt: new Date(second), at: new Date(second) },
    ]);
  });

  it("are written when the trail closes", async () => {
    const { trail, rows, advance } = setUp();
    refuse(trail, maxNames + 10);
    await advance(durableWithinMs);
    refuse(trail, maxNames + 20);
    await trail.close();
    expect(nameless(await rows()).map(({ count }) => count)).toEqual([10, 20]);
  });

  it("are kept while rows cannot be written, and none is lost", async () => {
    const { trail, rows, answers, advance } = setUp();
    answers.push(fails, fails);
    refuse(trail, maxNames + 10);
    await advance(500);
    refuse(trail, maxNames + 20);
    await advance(500);
    expect(await thrownBy(trail.check)).toBeKmsError("AUDIT_UNAVAILABLE");
    await advance(500);
    trail.check();
    expect(nameless(await rows())).toMatchObject([
      { count: 30, names: 20, firstAt: new Date(start), at: new Date(start + 500), detail: moreNames },
    ]);
    expect(sum(await rows())).toBe(2 * maxNames + 30);
  });
});
