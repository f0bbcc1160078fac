/** A pass over a real store: what it tells, when it rests and ends, whose turn it is, and what is refused after it. */
import type { Logger } from "pino";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createAlarm } from "../../src/alarm.ts";
import { KmsError } from "../../src/errors.ts";
import { createLosses } from "../../src/integrity/losses.ts";
import { runPass } from "../../src/integrity/pass.ts";
import { createIntegrity } from "../../src/integrity/start.ts";
import { sharedTurns } from "../../src/integrity/turns.ts";
import type { RowProblem } from "../../src/store/row-problem.ts";
import { openSqlite } from "../../src/store/sqlite/open.ts";
import type { Store } from "../../src/store/store.ts";
import { use } from "../support/examined.ts";
import { grown, newLog } from "../support/log-store-fixture.ts";
import { thrownBy } from "../support/matchers.ts";
import { addKey, type Backdoor, sqliteBackdoor, unlocked } from "../support/store-fixture.ts";
import { type VirtualTime, virtualTime } from "../support/virtual-time.ts";

const minuteMs = 60_000;
const never = new AbortController().signal;
const problem = { purpose: undefined, what: "is not as it was" };

let time: VirtualTime;
let door: Backdoor;
let store: Store;
beforeEach(async () => {
  time = virtualTime();
  const { file, ...backdoor } = sqliteBackdoor();
  door = backdoor;
  store = await unlocked(await openSqlite({ name: "sqlite", file }, time));
  return () => store.close();
});

describe("a pass", () => {
  async function told(over: Partial<Store> = {}): Promise<RowProblem[]> {
    const all: RowProblem[] = [];
    const found = (each: readonly RowProblem[]) => void all.push(...each);
    const pass = runPass({ time, store: { ...store, ...over }, found, progress() {} }, never);
    await time.advance(minuteMs);
    await pass;
    return all;
  }

  it("tells what is still there at a second look, once", async () => {
    const { keyId } = await addKey(store);
    await door.sql("update kms_keys set retired_at = 7");
    const found = await told();
    expect(found.filter(({ kind }) => kind === "record_altered")).toMatchObject([{ tenantId: "acme", keyId }]);
  });

  it("does not tell what is gone at the second look", async () => {
    await addKey(store);
    await door.sql("update kms_keys set retired_at = 7");
    let seen = 0;
    const found = await told({
      async examine(from) {
        const piece = await store.examine(from);
        seen += piece.problems.length;
        if (piece.problems.length > 0) await door.sql("update kms_keys set retired_at = null");
        return piece;
      },
    });
    expect(seen).toBe(1);
    expect(found).toEqual([]);
  });

  it("tells what a piece has no room for any more at the second look, because others' rows came before it", async () => {
    const busy = await addKey(store, { tenantId: "busy", keyId: "0".repeat(32) });
    const { keyId } = await addKey(store, { keyId: "f".repeat(32) });
    const append = (count: number) => store.appendAudit(Array.from({ length: count }, () => use(busy)));
    await append(400);
    await door.sql("update kms_keys set retired_at = 7 where key_id = ?1", keyId);
    let isFirst = true;
    const found = await told({
      async examine(from) {
        const piece = await store.examine(from);
        if (isFirst && piece.problems.length > 0) {
          isFirst = false;
          await append(200);
        }
        return piece;
      },
    });
    expect(found.filter(({ kind }) => kind === "record_altered")).toMatchObject([{ tenantId: "acme", keyId }]);
  });

  it.each([
    [10, 190],
    [100, 1_900],
    [5_000, 2_000],
  ])("rests after a piece that took %d ms for %d ms", async (tookMs, restMs) => {
    const reads: { began: number; ended: number }[] = [];
    const examine: Store["examine"] = async (from) => {
      const began = time.monotonicMs();
      await time.sleep(tookMs);
      const piece = await store.examine(from);
      reads.push({ began, ended: time.monotonicMs() });
      return piece;
    };
    await time.until(runPass({ time, store: { ...store, examine }, found() {}, progress() {} }, never));
    expect(reads.length).toBeGreaterThan(2);
    const rests = reads.slice(1).map(({ began }, n) => began - reads[n]!.ended);
    expect(rests).toEqual(rests.map(() => restMs));
  });

  it("tells of a read that fails, and then rests", async () => {
    const failure = new KmsError("STORE_UNAVAILABLE", "away");
    const failed = vi.fn((_: KmsError) => stop.abort());
    const stop = new AbortController();
    const away = { ...store, examine: () => Promise.reject(failure) };
    const pass = runPass({ time, store: away, found() {}, progress() {}, failed }, stop.signal);
    await expect(pass).rejects.toThrow("aborted");
    expect(failed.mock.calls).toEqual([[failure]]);
  });

  it("counts what it went through, and ends when it is told to", async () => {
    await addKey(store);
    const stop = new AbortController();
    const counted: number[] = [];
    const progress = (rows: number) => {
      counted.push(rows);
      if (counted.length === 3) stop.abort();
    };
    const ended = expect(runPass({ time, store, found() {}, progress }, stop.signal)).rejects.toThrow("aborted");
    await time.advance(minuteMs);
    await ended;
    expect(counted.length).toBe(3);
    expect(counted.at(-1)).toBeGreaterThan(0);
  });
});

it("a pass that cannot go on is told after a minute, until it can", async () => {
  await addKey(store);
  let isAway = true;
  const failure = new KmsError("STORE_UNAVAILABLE", "disk I/O error (read)");
  const examine: Store["examine"] = (from) => (isAway ? Promise.reject(failure) : store.examine(from));
  const info = vi.fn();
  const warn = vi.fn();
  const integrity = createIntegrity({
    time,
    store: { ...store, examine },
    losses: createLosses(),
    keyring: { invalidate() {} },
    alarm: createAlarm(),
    log: { info, warn } as unknown as Logger,
  });
  integrity.start();
  onTestFinished(() => integrity.close());
  await time.advance(minuteMs - 1);
  expect(warn).toHaveBeenCalledTimes(1);
  expect(integrity.problems()).toEqual([]);
  await time.advance(1);
  expect(integrity.problems()).toEqual([
    {
      status: "degraded",
      notice: expect.objectContaining({
        code: "EXAMINATION_HELD_UP",
        text: expect.stringMatching(/held up at 0 %.*disk I\/O error \(read\)\.$/),
      }),
    },
  ]);
  isAway = false;
  await time.advance(minuteMs);
  expect(info).toHaveBeenCalledTimes(1);
  expect(integrity.problems()).toEqual([]);
});

describe("the turns of replicas", () => {
  it("let one work at a time, and give the turn on when it was left", async () => {
    const [one, other] = [sharedTurns(store, time), sharedTurns(store, time)];
    const ran = vi.fn(async () => true);
    const waited: number[] = [];
    await one.take(async () => {
      waited.push(await other.take(ran, never));
      return false;
    }, never);
    expect(ran).not.toHaveBeenCalled();
    expect(waited).toEqual([60_000]);
    await other.take(ran, never);
    expect(ran).toHaveBeenCalledTimes(1);
  });

  it("rely on a pass that found nothing for a week, and on none that found something", async () => {
    const [one, other] = [sharedTurns(store, time), sharedTurns(store, time)];
    const ran = vi.fn(async () => true);
    await one.take(async () => false, never);
    await other.take(ran, never);
    await other.take(ran, never);
    expect(ran).toHaveBeenCalledTimes(1);
    expect(other.cleanAt()).toEqual(time.now());
    await time.skip(7 * 86_400_000);
    await other.take(ran, never);
    expect(ran).toHaveBeenCalledTimes(2);
  });

  it("rely on no pass that began before they started, and all that start while one runs on one more", async () => {
    const ran = vi.fn(async () => true);
    const first = sharedTurns(store, time);
    const others: ReturnType<typeof sharedTurns>[] = [];
    await first.take(async () => {
      for (let count = 0; count < 3; count += 1) {
        await time.advance(minuteMs);
        others.push(sharedTurns(store, time));
      }
      for (const each of others) expect(await each.take(ran, never)).toBe(60_000);
      return true;
    }, never);
    expect(ran).not.toHaveBeenCalled();
    for (const each of others) await each.take(ran, never);
    expect(ran).toHaveBeenCalledTimes(1);
    await first.take(ran, never);
    expect(ran).toHaveBeenCalledTimes(1);
    await time.skip(86_400_000);
    const put = sharedTurns(store, time); // the database may have been put back meanwhile
    await put.take(ran, never);
    expect(ran).toHaveBeenCalledTimes(2);
    expect(put.cleanAt()).toEqual(time.now());
    expect(first.cleanAt()).not.toEqual(time.now()); // until its next look
  });

  it("have all others look too where one found something, whatever they relied on", async () => {
    const [one, other] = [sharedTurns(store, time), sharedTurns(store, time)];
    await one.take(async () => true, never);
    const ran = vi.fn(async () => false);
    await other.take(ran, never);
    expect(ran).not.toHaveBeenCalled();
    await time.skip(1_000);
    const third = sharedTurns(store, time);
    await third.take(async () => false, never);
    for (const each of [one, other]) await each.take(ran, never);
    expect(ran).toHaveBeenCalledTimes(2);
    for (const each of [one, other, third]) await each.take(ran, never);
    expect(ran).toHaveBeenCalledTimes(2);
  });

  it("have a replica that found something look again after a day, or when another finds nothing", async () => {
    const [one, other] = [sharedTurns(store, time), sharedTurns(store, time)];
    const ran = vi.fn(async () => false);
    await one.take(ran, never);
    await one.take(ran, never);
    expect(ran).toHaveBeenCalledTimes(1);
    await time.skip(1_000);
    await other.take(async () => true, never);
    await one.take(ran, never);
    expect(ran).toHaveBeenCalledTimes(2);
    await time.skip(86_400_000);
    await one.take(ran, never);
    expect(ran).toHaveBeenCalledTimes(3);
  });

  it("are not kept from it by a lease that was altered", async () => {
    const turns = sharedTurns(store, time);
    await turns.take(async () => true, never);
    await door.sql("update kms_leases set finished_at = 9007199254740991");
    const ran = vi.fn(async () => false);
    await turns.take(ran, never);
    expect(ran).toHaveBeenCalledTimes(1);
  });
});

describe("what was found", () => {
  it("keeps a key from every use, and no other", async () => {
    const lost = await addKey(store);
    const next = await addKey(store, { tenantId: "other" });
    const losses = createLosses();
    const refusing = losses.refusedIn(store);
    losses.replace([{ ...problem, kind: "state", tenantId: "acme", keyId: lost.keyId }]);
    const by = { action: "disable", actor: "ann", requestId: "", at: new Date() } as const;
    const uses = [
      () => refusing.active("acme", "data"),
      () => refusing.get("acme", lost.keyId),
      () => refusing.list("acme", "data"),
      () => refusing.update(lost, { ...lost, state: "DISABLED" }, by),
      () => addKey({ ...refusing, active: store.active }),
    ];
    for (const each of uses) expect(await thrownBy(each)).toBeKmsError("DATA_LOSS");
    expect((await refusing.active("other", "data"))?.keyId).toBe(next.keyId);
    losses.replace([]);
    expect((await refusing.active("acme", "data"))?.keyId).toBe(lost.keyId);
  });

  it("keeps a log from every use, and its tenant from another in its place", async () => {
    const head = newLog();
    await store.createLog(head);
    await store.createLog(newLog({ tenantId: "other" }));
    const losses = createLosses();
    const refusing = losses.refusedIn(store);
    losses.replace([{ ...problem, kind: "log_content", tenantId: "acme", keyId: "", log: 1 }]);
    const uses = [
      () => refusing.logHead("acme"),
      () => refusing.logHead("acme", 1),
      () => refusing.createLog(newLog({ number: 2 })),
      () => refusing.appendLog(grown(head, 1)),
      () => refusing.logRequest(head, "r1"),
      () => refusing.logHashes(head, 0, 0),
      () => refusing.logEntries(head, 0),
    ];
    for (const each of uses) expect(await thrownBy(each)).toBeKmsError("DATA_LOSS");
    expect((await refusing.logHead("other"))?.number).toBe(1);
    expect((await refusing.logHeads("acme")).map(({ number }) => number)).toEqual([1]); // it is named all the same
    await door.sql("delete from kms_logs where tenant_id = 'acme'");
    for (const each of [() => refusing.logHead("acme"), () => refusing.logHeads("acme")]) {
      expect(await thrownBy(each)).toBeKmsError("DATA_LOSS");
    }
  });

  it("leaves a key in use whose remembered request alone was altered", async () => {
    const key = await addKey(store);
    const losses = createLosses();
    losses.replace([{ ...problem, kind: "request_altered", tenantId: "acme", keyId: key.keyId }]);
    expect((await losses.refusedIn(store).active("acme", "data"))?.keyId).toBe(key.keyId);
  });
});
