/** Which keys wait for their destruction, how much of their days services have still to see pass, and why each waits. */
import type { KeyRecord } from "../../store/key-record.ts";
import type { Store } from "../../store/store.ts";
import type { TimeView, TimeWitness } from "./time-witness.ts";

/** Days for which a destruction may be scheduled. */
export const destructionDays = { least: 7, most: 30 } as const;

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
