/** What a process sees of the time, noted in the store: see time-rule.ts for what counts. */
import { hasCode, KmsError } from "../../errors.ts";
import type { Fence } from "../../store/lease-store.ts";
import type { Store } from "../../store/store.ts";
import type { WitnessedTime } from "../../store/time-store.ts";
import { agree, type Lived, type Moment, timeAt } from "./time-rule.ts";
import type { Time } from "../../runtime/time.ts";

export interface TimeWitness {
  /**
   * Notes the time that has passed. LEASE_LOST if a `fence` is given and does not hold. Without a fence it also ends what other processes
   * are counting, so that no time before this moment is added to what begins now.
   */
  note(fence?: Fence): Promise<WitnessedTime>;
  /** Notes the time for a destruction that is scheduled now. CLOCKS_DISAGREE while the two clocks do. */
  noteAgreed(): Promise<WitnessedTime>;
  /** What was noted last, and what the clocks say now. Writes nothing. */
  read(): Promise<TimeView>;
  /**
   * Absolute difference between the wall clock and the second clock in milliseconds, as the last note or read found it.
   * Undefined if that failed or found no second clock.
   */
  differenceMs(): number | undefined;
}

export interface TimeView {
  noted: WitnessedTime | undefined;
  wallAt: Date;
  /** The clock that the wall clock is held against; undefined if none can be read. Of several, one that disagrees. */
  second: ClockSeen | undefined;
}

export interface ClockSeen {
  /** Whose clock it is, in words. */
  name: string;
  at: Date;
}

/** A clock of another machine. */
export interface SecondClock {
  readonly name: string;
  /** Undefined while it cannot be read. */
  read(): Promise<Date | undefined>;
}

export interface WitnessOptions {
  store: Pick<Store, "name" | "witnessedTime" | "noteWitnessedTime">;
  /** A clock beside that of the store's server, if it has one. */
  second?: SecondClock | undefined;
  time: Time;
}

/** More writers than that do not note the time at once. */
const attempts = 5;

export function createTimeWitness(options: WitnessOptions): TimeWitness {
  const { store, second, time } = options;
  /** What this process noted last, and when by its monotonic clocks. */
  let own: { noted: WitnessedTime; at: Lived } | undefined;
  const others = sightings();
  let last: Promise<unknown> = Promise.resolve();
  let seen: Pick<TimeView, "wallAt" | "second"> | undefined;

  const now = (): Lived => ({ awakeMs: time.monotonicMs(), sinceBootMs: time.sinceBootMs() });

  async function look() {
    const found = await lookAtClocks().catch((error) => {
      seen = undefined;
      throw error;
    });
    seen = found;
    return found;
  }

  async function lookAtClocks() {
    const began = now();
    // The store first: what was noted must be older than the moment that is noted next.
    const { noted, storeAt } = await store.witnessedTime();
    const newSince = others.see(noted, began);
    const providerAt = await second?.read();
    const wallAt = time.now();
    const clocks = [
      storeAt && { name: serverNames[store.name] ?? store.name, at: storeAt },
      providerAt && { name: second!.name, at: providerAt },
    ].filter((each) => each !== undefined);
    return { noted, newSince, wallAt, at: now(), second: secondClock(wallAt, clocks) };
  }

  /** What this process counted since the time was noted; at most so much, if another noted it. */
  function livedSince(noted: WitnessedTime | undefined, newSince: Lived | undefined, at: Lived): Lived | undefined {
    if (own !== undefined && isSame(own.noted, noted)) return since(own.at, at);
    return newSince && { ...since(newSince, at), awakeMs: 0 };
  }

  async function noteNow(check: (seen: TimeView) => void, fence?: Fence): Promise<WitnessedTime> {
    const { at, newSince, ...view } = await look();
    check(view);
    const { noted, wallAt } = view;
    const moment: Moment = { wallAt, secondAt: view.second?.at };
    const next = timeAt(noted, moment, livedSince(noted, newSince, at));
    await store.noteWitnessedTime(noted, next, fence);
    own = { noted: next, at };
    return next;
  }

  async function insist(check: (seen: TimeView) => void, fence?: Fence): Promise<WitnessedTime> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await noteNow(check, fence);
      } catch (error) {
        if (!hasCode(error, "CONFLICT") || attempt === attempts) throw error;
      }
    }
  }

  /** One after the other: two of this process would each take the other for another process. */
  function inTurn(work: () => Promise<WitnessedTime>): Promise<WitnessedTime> {
    const next = last.then(work);
    last = next.catch(() => {});
    return next;
  }

  return {
    note: (fence) => inTurn(() => insist(() => {}, fence)),
    noteAgreed: () => inTurn(() => insist(requireAgreement)),
    async read() {
      const { noted, wallAt, second: clockSeen } = await look();
      return { noted, wallAt, second: clockSeen };
    },
    differenceMs: () => seen?.second && Math.abs(seen.wallAt.getTime() - seen.second.at.getTime()),
  };
}

/**
 * How old the time can be that another process noted: younger than the last look that found an earlier one. So clocks that are set ahead while
 * this process runs add no more than it counted. Nothing is known of the time that the first look finds.
 */
function sightings() {
  let seen: { noted: WitnessedTime; newSince: Lived | undefined } | undefined;
  let lookedAt: Lived | undefined;
  return {
    /** `began` is when the look did: what it did not find was noted later. */
    see(noted: WitnessedTime | undefined, began: Lived): Lived | undefined {
      if (noted === undefined) seen = undefined;
      else if (seen === undefined || !isSame(seen.noted, noted)) seen = { noted, newSince: lookedAt };
      lookedAt = began;
      return seen?.newSince;
    },
  };
}

/** The clock that counts. If several can be read, all must agree: one that does not is given. */
function secondClock(wallAt: Date, clocks: readonly ClockSeen[]): ClockSeen | undefined {
  return clocks.find(({ at }) => !agree({ wallAt, secondAt: at })) ?? clocks[0];
}

const serverNames: Readonly<Record<string, string>> = { postgres: "PostgreSQL" };

function requireAgreement({ wallAt, second }: TimeView): void {
  if (second === undefined || agree({ wallAt, secondAt: second.at })) return;
  const clocks = `this service's clock says ${wallAt.toISOString()} and that of ${second.name} ${second.at.toISOString()}`;
  throw new KmsError(
    "CLOCKS_DISAGREE",
    `no destruction is scheduled while clocks disagree: ${clocks}; set the wrong one`,
  );
}

function since(from: Lived, to: Lived): Lived {
  return { awakeMs: to.awakeMs - from.awakeMs, sinceBootMs: to.sinceBootMs - from.sinceBootMs };
}

function isSame(own: WitnessedTime, noted: WitnessedTime | undefined): boolean {
  if (noted === undefined || own.witnessedMs !== noted.witnessedMs) return false;
  return +own.wallAt === +noted.wallAt && own.secondAt?.getTime() === noted.secondAt?.getTime();
}
