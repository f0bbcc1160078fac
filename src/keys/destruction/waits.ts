/** The wait before a destruction: when it is over, and which keys still wait for what. */
import type { DestroyWait, KeyRecord } from "../../store/key-record.ts";
import type { DestructionDue } from "../../store/key-store.ts";
import type { Store } from "../../store/store.ts";
import type { TimeView, TimeWitness } from "./time-witness.ts";

/** Days for which a destruction may be scheduled. */
export const destructionDays = { least: 7, most: 30 } as const;

/** Part of a wait that may be missing if the wall clock has come to `destroyAt`: services that took turns have not seen every minute. */
export const mayBeMissingMs = 60 * 60_000;
/** How much longer a key waits if the wall clock never comes to `destroyAt`. */
export const longerMs = 24 * 60 * 60_000;

/** What is due when services have witnessed so much. */
export function destructionDue(at: Date, witnessedMs: number): DestructionDue {
  return { at, endedMs: witnessedMs + mayBeMissingMs, longEndedMs: witnessedMs - longerMs };
}

/** Witnessed time at which a wait is over, by a wall clock that says `at`. */
export function waitEnd({ sinceMs, waitMs }: DestroyWait, destroyAt: Date | undefined, at: Date): number {
  const isByClock = destroyAt !== undefined && destroyAt <= at;
  return sinceMs + waitMs + (isByClock ? -mayBeMissingMs : longerMs);
}

/** Undefined where the record says otherwise by now. The public key stays: what the key signed still verifies. */
export function destroyed(record: KeyRecord, at: Date, witnessedMs: number): KeyRecord | undefined {
  const { state, destroyAt, destroyWait } = record;
  if (state !== "DESTROY_SCHEDULED" || destroyWait === undefined) return undefined;
  if (waitEnd(destroyWait, destroyAt, at) > witnessedMs) return undefined;
  return { ...record, state: "DESTROYED", wrapped: new Uint8Array() };
}

export interface DestructionWaits {
  /** The keys that have the least left to wait, the least first. */
  first: readonly WaitingDestruction[];
  total: number;
  time: TimeView;
}

export interface WaitingDestruction {
  record: KeyRecord;
  /** Milliseconds of its days that services have not seen pass; undefined if that does not count yet. */
  unwitnessedMs: number | undefined;
  /** Whether the wall clock has come to `destroyAt`. */
  isDueByClock: boolean;
}

const shown = 10;

export async function destructionWaits(
  store: Pick<Store, "destructionsWaiting">,
  witness: Pick<TimeWitness, "read">,
): Promise<DestructionWaits> {
  const [{ records, total }, time] = await Promise.all([store.destructionsWaiting(shown), witness.read()]);
  return { first: records.map((record) => waitOf(record, time)), total, time };
}

function waitOf(record: KeyRecord, { noted, wallAt }: TimeView): WaitingDestruction {
  const { destroyAt } = record;
  return {
    record,
    unwitnessedMs: noted && unwitnessedMs(record, noted.witnessedMs),
    isDueByClock: destroyAt !== undefined && destroyAt <= wallAt,
  };
}

/** Milliseconds of the days of a scheduled destruction that services have not seen pass. Undefined for other keys, and if that does not count yet. */
export function unwitnessedMs({ state, destroyWait }: KeyRecord, witnessedMs: number): number | undefined {
  if (state !== "DESTROY_SCHEDULED" || destroyWait === undefined) return undefined;
  return Math.max(0, destroyWait.sinceMs + destroyWait.waitMs - witnessedMs);
}
