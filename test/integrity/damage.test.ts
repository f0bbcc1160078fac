/** All damage that is known: the findings of passes, and what uses and looks met until a pass finds none of it. */
import { pino } from "pino";
import { describe, expect, it, onTestFinished } from "vitest";
import { createAlarm } from "../../src/alarm.ts";
import { createDamage } from "../../src/integrity/damage.ts";
import { createLosses } from "../../src/integrity/losses.ts";
import { createIntegrity } from "../../src/integrity/start.ts";
import { replicaClockSkewMs } from "../../src/store/lease-renewal.ts";
import type { RowProblem } from "../../src/store/row-problem.ts";
import { openSqlite } from "../../src/store/sqlite/open.ts";
import type { Store } from "../../src/store/store.ts";
import { addKey, sqliteBackdoor, unlocked } from "../support/store-fixture.ts";
import { type VirtualTime, virtualTime } from "../support/virtual-time.ts";
import { wallTime } from "../support/wall-time.ts";

const start = Date.parse("2026-03-01T12:00:00.000Z");
const [keyId, otherKeyId] = ["0a".repeat(16), "0b".repeat(16)];
const ofKey = (id: string): RowProblem => ({
  kind: "record_altered",
  tenantId: "acme",
  keyId: id,
  purpose: "data",
  what: `key ${id} was altered`,
});
const ofLog = (log: number): RowProblem => ({
  kind: "log_content",
  tenantId: "acme",
  keyId: "",
  purpose: undefined,
  log,
  what: "its entries are not those of its head",
});

function world() {
  const alarm = createAlarm();
  const clock = { ms: start };
  const damage = createDamage({
    alarm,
    losses: createLosses(),
    keyring: { invalidate() {} },
    log: pino({ level: "silent" }),
    time: wallTime(() => new Date(clock.ms)),
  });
  onTestFinished(() => damage.close());
  const pass = (...found: RowProblem[]) => {
    damage.begin();
    damage.add(found);
    damage.end("whole");
  };
  return { alarm, clock, damage, pass, count: (cleanAt?: Date) => damage.count(cleanAt) };
}

describe("damage that a use met", () => {
  it("counts once, however often and in whatever words it is met", () => {
    const { alarm, count } = world();
    expect(count()).toBe(0);
    alarm.lost(`key ${keyId} in the store is not as it was written: run fluo-kms check, and restore a backup`);
    alarm.lost(`key ${keyId} cannot be opened by local:00`);
    alarm.lost("log 3 of tenant acme is not as it was written between 1 and 2: run fluo-kms check");
    alarm.lost("log 3 of tenant acme has 4 entries and does not go on from log 3 with 5: the store was set back");
    expect(count()).toBe(2);
    alarm.lost(`key ${otherKeyId} cannot be opened by local:00`);
    alarm.lost("log 4 of tenant acme has a root that its frontier does not lead to");
    alarm.lost("log 3 of tenant other has a root that its frontier does not lead to");
    alarm.lost("the store key is gone from the store");
    expect(count()).toBe(6);
  });

  it("does not count beside a finding about the same key or log", () => {
    const { alarm, count, pass } = world();
    alarm.lost(`key ${keyId} cannot be opened by local:00`);
    alarm.lost("log 3 of tenant acme has a root that its frontier does not lead to");
    pass(ofKey(keyId), ofLog(3));
    expect(count()).toBe(2);
    alarm.lost(`key ${keyId}: key ${keyId} was altered`);
    alarm.lost("log 3 of tenant acme: its entries are not those of its head");
    expect(count()).toBe(2);
    alarm.lost("log 4 of tenant acme has a root that its frontier does not lead to");
    expect(count()).toBe(3);
  });

  it("stands until a whole pass ends that began after it was met last", () => {
    const { alarm, damage, count, pass } = world();
    damage.begin();
    alarm.lost(`key ${keyId} cannot be opened by local:00`);
    damage.end("whole");
    expect(count()).toBe(1);
    damage.begin();
    damage.end("early");
    expect(count()).toBe(1);
    damage.begin();
    alarm.lost(`key ${keyId} cannot be opened by local:00`);
    damage.end("whole");
    expect(count()).toBe(1);
    pass();
    expect(count()).toBe(0);
  });

  it("goes with the finding for which it was refused, though it was met while the pass ran that did not find it", () => {
    const { alarm, damage, count, pass } = world();
    pass(ofKey(keyId));
    damage.begin();
    alarm.lost(`key ${keyId}: key ${keyId} was altered`);
    damage.end("whole");
    expect(count()).toBe(0);
  });

  it("stands until another replica's pass finds nothing that began after it was met, by whichever clock", () => {
    const { alarm, clock, count } = world();
    alarm.lost(`key ${keyId} cannot be opened by local:00`);
    clock.ms += 3_600_000;
    expect(count(new Date(start))).toBe(1);
    expect(count(new Date(start + replicaClockSkewMs))).toBe(1);
    expect(count(new Date(start + replicaClockSkewMs + 1))).toBe(0);
  });

  it("is bounded", () => {
    const { alarm, count } = world();
    for (let n = 0; n < 1_100; n += 1) alarm.lost(`log ${n} of tenant acme has a root of its own`);
    expect(count()).toBe(1_000);
  });
});

it("a finding stands until a pass does not find it", () => {
  const { count, pass } = world();
  pass(ofKey(keyId), ofKey(otherKeyId));
  expect(count()).toBe(2);
  pass(ofKey(keyId));
  expect(count()).toBe(1);
  pass();
  expect(count()).toBe(0);
});

describe("the examination of a store", () => {
  const passMs = 5_000;

  async function running(over: Partial<Store> = {}) {
    const door = sqliteBackdoor();
    const time = virtualTime();
    const store = await unlocked(await openSqlite({ name: "sqlite", file: door.file }, time));
    const alarm = createAlarm();
    const integrity = createIntegrity({
      time,
      store: { ...store, ...over },
      alarm,
      losses: createLosses(),
      keyring: { invalidate() {} },
      log: pino({ level: "silent" }),
    });
    onTestFinished(async () => {
      await integrity.close();
      await store.close();
    });
    return { time, door, store, alarm, integrity };
  }
  async function ended(time: VirtualTime, integrity: ReturnType<typeof createIntegrity>): Promise<void> {
    await time.advance(passMs);
    expect(integrity.status().finishedAt).toBeDefined();
  }

  it("counts what a use met before its first pass, and forgets that with it", async () => {
    const { time, alarm, integrity } = await running();
    alarm.lost("the store key is gone from the store");
    expect([integrity.damaged(), integrity.status().findings]).toEqual([1, []]);
    integrity.start();
    await ended(time, integrity);
    expect([integrity.damaged(), integrity.status().findings]).toEqual([0, []]);
  });

  it("counts what it found once, though uses meet it", async () => {
    const { time, door, store, alarm, integrity } = await running();
    const key = await addKey(store);
    await door.sql("update kms_keys set retired_at = 7");
    alarm.lost(`key ${key.keyId} in the store is not as it was written`);
    integrity.start();
    await ended(time, integrity);
    const { findings } = integrity.status();
    expect(findings.length).toBeGreaterThan(0);
    expect(integrity.damaged()).toBe(findings.length);
  });

  it("tells how long ago a pass ended, and before the first since when there could be one", async () => {
    const { time, integrity } = await running();
    await time.skip(5_000);
    expect(integrity.passAgeMs()).toBe(5_000);
    integrity.start();
    await ended(time, integrity);
    const ageMs = time.now().getTime() - integrity.status().finishedAt!.getTime();
    expect(ageMs).toBeLessThan(passMs);
    expect(integrity.passAgeMs()).toBe(ageMs);
    await time.skip(7_000);
    expect(integrity.passAgeMs()).toBe(ageMs + 7_000);
  });

  it("counts another replica's later pass as its own", async () => {
    const { time, integrity, store } = await running();
    const shared = createIntegrity({
      time,
      store: { ...store, name: "postgres" },
      alarm: createAlarm(),
      losses: createLosses(),
      keyring: { invalidate() {} },
      log: pino({ level: "silent" }),
    });
    onTestFinished(() => shared.close());
    await time.skip(60_000);
    const { generation } = await store.lease("integrity", "another", 60_000);
    const cleanAt = time.now();
    await store.finishLease({ name: "integrity", generation: generation! }, cleanAt);
    await time.skip(60_000);
    shared.start();
    await time.idle();
    expect(shared.status()).toMatchObject({ beganAt: undefined, finishedAt: cleanAt });
    expect(shared.passAgeMs()).toBe(60_000);
    expect(integrity.passAgeMs()).toBe(120_000);
  });
});
