/**
 * The part of the store's contract that keeps witnessed time: how long services saw time pass, by their own monotonic clocks. A wall clock
 * that is wrong changes nothing of it. What is added, and when, is in keys/destruction/. See store.ts for what holds for every part.
 */
import type { Fence } from "./lease-store.ts";

export interface TimeStore {
  /** What was noted last, and the store's own clock. DATA_LOSS if the row is not as it was written. */
  witnessedTime(): Promise<TimeReading>;

  /**
   * Puts `next` in the place of `present`, durably; undefined stands for none yet. CONFLICT if another was noted in between. LEASE_LOST if
   * `fence` is given and does not hold.
   */
  noteWitnessedTime(present: WitnessedTime | undefined, next: WitnessedTime, fence?: Fence): Promise<void>;
}

export interface WitnessedTime {
  /** Whole milliseconds that services saw pass, since the first of them. It never becomes less. */
  witnessedMs: number;
  /** When that was noted, by the clock of the service that noted it. */
  wallAt: Date;
  /** That moment by a second clock; undefined if none could be read. */
  secondAt: Date | undefined;
}

export interface TimeReading {
  /** Undefined before the first was noted. */
  noted: WitnessedTime | undefined;
  /** The clock of the store's server; undefined if the store has none of its own. */
  storeAt: Date | undefined;
}
