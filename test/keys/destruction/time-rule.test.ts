/** What counts as time that passed, and that by it no key is destroyed early and none kept for ever, whatever clocks do. */
import { describe, expect, it } from "vitest";
import { destroyed } from "../../../src/keys/destruction/waits.ts";
import { adoptedWait } from "../../../src/keys/destruction/rounds.ts";
import { agree, type Lived, type Moment, timeAt } from "../../../src/keys/destruction/time-rule.ts";
import type { KeyRecord } from "../../../src/store/key-record.ts";
import type { WitnessedTime } from "../../../src/store/time-store.ts";
import { dayMs } from "../../support/keys-fixture.ts";
import { hourMs, minuteMs, yearMs } from "../../support/replicas.ts";
import { pendingKey } from "../../support/store-fixture.ts";

const start = Date.parse("2026-01-01T00:00:00.000Z");
const moment = (wallMs: number, secondMs?: number): Moment => ({
  wallAt: new Date(start + wallMs),
  secondAt: secondMs === undefined ? undefined : new Date(start + secondMs),
});
const noted = (wallMs: number, secondMs?: number): WitnessedTime => ({
  witnessedMs: 1_000,
  ...moment(wallMs, secondMs),
});
const passed = (before: WitnessedTime, now: Moment, lived?: Lived) => timeAt(before, now, lived).witnessedMs - 1_000;
const lived = (awakeMs: number, sinceBootMs = awakeMs): Lived => ({ awakeMs, sinceBootMs });

describe("time that passed", () => {
  it("begins with nothing", () => {
    expect(timeAt(undefined, moment(9, 9), undefined)).toEqual({ witnessedMs: 0, ...moment(9, 9) });
  });

  it.each<[what: string, before: WitnessedTime, now: Moment, own: Lived | undefined, ms: number]>([
    ["is what its process counted", noted(0), moment(minuteMs), lived(minuteMs), minuteMs],
    ["is that whatever the wall clock says", noted(0), moment(-yearMs), lived(minuteMs), minuteMs],
    ["is at most two minutes of a process that stood still", noted(0), moment(hourMs), lived(hourMs), 2 * minuteMs],
    ["is nothing of a time without a process, by one clock", noted(0), moment(hourMs), undefined, 0],
    ["is nothing where a second clock came only later", noted(0), moment(hourMs, hourMs), undefined, 0],
    ["is nothing where a second clock is gone", noted(0, 0), moment(hourMs), undefined, 0],
    ["is all that two clocks counted alike", noted(0, 0), moment(hourMs, hourMs), undefined, hourMs],
    ["is the less of what they counted", noted(0, 0), moment(hourMs + 9, hourMs), undefined, hourMs],
    ["is the less of what they counted, the other way", noted(0, 0), moment(hourMs, hourMs + 9), undefined, hourMs],
    ["is nothing where they differ now", noted(0, 0), moment(yearMs, hourMs), undefined, 0],
    ["is nothing where they differed before", noted(yearMs, 0), moment(yearMs, yearMs), undefined, 0],
    ["is nothing where both went back", noted(hourMs, hourMs), moment(0, 0), undefined, 0],
    [
      "is a suspension that two clocks and the machine counted",
      noted(0, 0),
      moment(hourMs, hourMs),
      lived(9, hourMs),
      hourMs,
    ],
    ["is no more than the machine counted", noted(0, 0), moment(yearMs, yearMs), lived(minuteMs), minuteMs],
    ["is no part of a millisecond", noted(0), moment(1), lived(1.9), 1],
  ])("%s", (_what, before, now, own, ms) => {
    expect(passed(before, now, own)).toBe(ms);
  });

  it("counts clocks as alike within five minutes", () => {
    expect(agree(moment(5 * minuteMs, 0))).toBe(true);
    expect(agree(moment(0, 5 * minuteMs + 1))).toBe(false);
    expect(agree(moment(yearMs))).toBe(true);
  });
});

describe("a destruction that an earlier version scheduled", () => {
  const record = (destroyMs: number): KeyRecord =>
    pendingKey({ state: "DESTROY_SCHEDULED", destroyAt: new Date(start + destroyMs) });
  const time = (wallMs: number, secondMs?: number) => noted(wallMs, secondMs);

  it.each<[what: string, destroyMs: number, now: WitnessedTime, waitMs: number]>([
    ["waits for what is left of it", 3 * dayMs, time(0), 3 * dayMs],
    ["waits for what is left of it by clocks that agree", 3 * dayMs, time(0, 0), 3 * dayMs],
    ["waits a day at least", -yearMs, time(0, 0), dayMs],
    ["waits thirty days at most", 10 * yearMs, time(0), 30 * dayMs],
    ["waits thirty days where clocks disagree", -yearMs, time(yearMs, 0), 30 * dayMs],
  ])("%s", (_what, destroyMs, now, waitMs) => {
    expect(adoptedWait(record(destroyMs), now)).toEqual({ sinceMs: 1_000, waitMs });
  });

  it("waits anew where its wait began at a time that nobody has witnessed", () => {
    const ahead = { ...record(-dayMs), destroyWait: { sinceMs: 9_000, waitMs: 7 * dayMs } };
    expect(adoptedWait(ahead, time(0, 0))).toEqual({ sinceMs: 1_000, waitMs: 30 * dayMs });
  });
});

/** Random numbers that a seed repeats: mulberry32. */
function seeded(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    between: (least: number, most: number) => least + (most - least) * next(),
    chance: (p: number) => next() < p,
  };
}

/**
 * What the clocks of a walk are like. `on one machine`: the second clock is set with the wall clock, while a service runs. Those that creep are
 * set on by minutes each time nothing runs, and back while a service runs.
 */
const kinds = [
  "alone",
  "right",
  "right at times",
  "wrong",
  "wrong afterwards",
  "wrong at times",
  "on one machine",
  "wall creeping",
  "second creeping",
  "both creeping apart",
] as const;

/** Minutes by which the wall clock and the second one are ahead while a service runs, and after nothing ran. */
const creeps: Partial<Record<(typeof kinds)[number], Record<"running" | "after", [wall: number, second: number]>>> = {
  "wall creeping": { running: [-4, 0], after: [4, 0] },
  "second creeping": { running: [0, -4], after: [0, 4] },
  "both creeping apart": { running: [-20, 0], after: [0, 20] },
};

const likelyOfMost = { jump: 0.003, halt: 0.003, stop: 0.02, leap: 0.001 };
/** Services that miss nothing, so that what may be missing, and the day more, show. */
const likelyOfSteady = { jump: 0.003, halt: 0, stop: 0, leap: 0.001 };
/** So many short stops that minutes more than passed come to more than a day. */
const likelyOfCreeping = { jump: 0, halt: 0, stop: 0.1, leap: 0 };
/** Leaps of the monotonic clocks, each of which counts as two minutes. */
const mostLeaps = 20;

/** Clocks jump, machines sleep, replicas come and go; one key is scheduled for destruction on the way. */
function walk(seed: number) {
  const random = seeded(seed);
  const kind = kinds[seed % kinds.length]!;
  const creep = creeps[kind];
  const likely = creep ? likelyOfCreeping : seed % 3 === 0 ? likelyOfSteady : likelyOfMost;
  const waitMs = Math.floor(random.between(7, 12)) * dayMs;
  const wrongMs = random.between(-10, 10) * yearMs;
  let [ms, wallAheadMs, secondAheadMs, asleepMs, pausedMs, leaptMs, leaps] = [0, 0, 0, 0, 0, 0, 0];
  let isReadable = true;
  let time: WitnessedTime | undefined;
  let own: { time: WitnessedTime; at: Lived } | undefined;
  let key: KeyRecord | undefined;
  let [scheduledMs, livedMs] = [0, 0];
  const wallMs = () => ms + wallAheadMs;

  function secondMs(): number | undefined {
    const rightMs = ms + secondAheadMs + random.between(-2_000, 2_000);
    if (kind === "alone" || (kind === "right at times" && !isReadable)) return undefined;
    if (kind === "on one machine") return wallMs();
    const isWrong: Partial<Record<typeof kind, boolean>> = {
      wrong: true,
      "wrong afterwards": key !== undefined,
      "wrong at times": !isReadable,
    };
    return isWrong[kind] ? rightMs + wrongMs : rightMs;
  }

  function note(): void {
    const at = moment(wallMs(), secondMs());
    const counted = { sinceBootMs: ms + leaptMs - pausedMs, awakeMs: ms + leaptMs - pausedMs - asleepMs };
    const since = own?.time === time ? own : undefined;
    const sinceOwn = since && {
      awakeMs: counted.awakeMs - since.at.awakeMs,
      sinceBootMs: counted.sinceBootMs - since.at.sinceBootMs,
    };
    if (key && sinceOwn) livedMs += Math.floor(Math.min(sinceOwn.awakeMs, 2 * minuteMs));
    time = timeAt(time, at, sinceOwn);
    own = { time, at: counted };
  }

  function schedule(): void {
    // Another replica notes it, or this one: what was noted before is over.
    const before = time;
    note();
    if (!agree(time!)) {
      time = before;
      return;
    }
    const destroyAt = new Date(start + wallMs() + waitMs);
    key = pendingKey({ state: "DESTROY_SCHEDULED", destroyAt, destroyWait: { sinceMs: time!.witnessedMs, waitMs } });
    scheduledMs = ms;
    if (random.chance(0.5)) own = undefined; // this process ends before its next round
  }

  function jump(chance: number): void {
    if (random.chance(chance)) wallAheadMs = random.chance(0.4) ? 0 : random.between(-10, 10) * yearMs;
    if (random.chance(chance)) wallAheadMs = random.between(-4, 4) * minuteMs;
    if (random.chance(chance)) isReadable = !isReadable;
  }

  /** Nothing runs, and clocks are set meanwhile. */
  function stop(): void {
    own = undefined;
    ms += random.chance(0.5) ? 0 : random.between(0, creep ? 1 / 3 : 6) * hourMs;
    if (creep) creepTo(creep.after);
    else if (kind !== "on one machine") jump(0.3);
  }

  /** Only while a key waits: clocks that differ let none be scheduled. */
  function creepTo([wall, second]: [number, number]): void {
    [wallAheadMs, secondAheadMs] = key === undefined ? [0, 0] : [wall * minuteMs, second * minuteMs];
  }

  function halt(): void {
    const haltMs = random.between(0, 2) * dayMs;
    ms += haltMs;
    if (random.chance(0.5)) asleepMs += haltMs;
    else pausedMs += haltMs;
  }

  function happen(): void {
    if (creep && own !== undefined) creepTo(creep.running);
    else if (kind !== "on one machine") jump(likely.jump);
    else if (own !== undefined) {
      jump(likely.jump);
      note();
    }
    if (random.chance(likely.halt)) halt();
    if (random.chance(likely.leap) && leaps < mostLeaps) {
      leaptMs += random.between(0, 2) * dayMs;
      leaps += 1;
    }
    if (random.chance(likely.stop)) stop();
  }

  for (let minutes = 0; minutes < 80_000; minutes += 1) {
    ms += minuteMs;
    happen();
    if (key === undefined && random.chance(0.01)) {
      if (random.chance(0.5)) stop();
      schedule();
    }
    note();
    if (key === undefined) continue;
    const isByClock = key.destroyAt!.getTime() <= start + wallMs();
    const ended = { kind, seed, isByClock, leaps, afterMs: ms - scheduledMs, livedMs, waitMs };
    if (destroyed(key, new Date(start + wallMs()), time!.witnessedMs)) return { end: "destroyed", ...ended };
    if (livedMs >= waitMs + (isByClock ? -hourMs : dayMs)) return { end: "kept for ever", ...ended };
  }
  return { end: key === undefined ? "never scheduled" : "still waits", kind, seed };
}

/** Clocks that differ by seconds count some of them twice. */
const ticksMs = 15 * minuteMs;

type Walk = Extract<ReturnType<typeof walk>, { afterMs: number }>;

describe("in two hundred walks with jumps of ten years", () => {
  const walks = Array.from({ length: 200 }, (_, seed) => walk(seed));
  const gone = walks.filter((each): each is Walk => each.end === "destroyed");

  it("no key is destroyed early: an hour before its days by the wall clock, and a day after them without", () => {
    const least = ({ waitMs, isByClock, leaps }: Walk) =>
      waitMs + (isByClock ? -hourMs : dayMs) - leaps * 2 * minuteMs - ticksMs;
    expect(gone.filter((each) => each.afterMs < least(each))).toEqual([]);
  });

  it("no key is kept for ever: as soon as services have seen its days, less an hour by the wall clock, it is gone", () => {
    expect(walks.filter(({ end }) => end === "kept for ever" || end === "still waits")).toEqual([]);
  });

  it("every key is scheduled but one whose second clock is always wrong", () => {
    const refused = walks.filter(({ end }) => end === "never scheduled").map(({ kind }) => kind);
    expect(new Set(refused)).toEqual(new Set(["wrong"]));
    expect(new Set(gone.map(({ kind }) => kind))).toEqual(new Set(kinds.filter((kind) => kind !== "wrong")));
    expect(gone.length).toBe(180);
  });
});
