/**
 * The round of destructions, which one replica makes once a minute. It notes the time that has passed, gives a wait to destructions that an
 * earlier version scheduled, and destroys what is due. The others ask for its lease, to take over when it ends.
 */
import { hasCode } from "../../errors.ts";
import { step } from "../../failpoints.ts";
import { newHolder } from "../../store/lease-renewal.ts";
import type { DestroyWait, KeyRecord } from "../../store/key-record.ts";
import type { KeyName } from "../../store/key-store.ts";
import type { Store } from "../../store/store.ts";
import type { WitnessedTime } from "../../store/time-store.ts";
import { destructionDays } from "./waits.ts";
import { agree } from "./time-rule.ts";
import type { TimeWitness } from "./time-witness.ts";

export interface RoundsOptions {
  store: Pick<Store, "lease" | "unwitnessedDestructions" | "get" | "setDestroyWait">;
  witness: Pick<TimeWitness, "note" | "read">;
  /** Destroys at most so many keys, and says how many it did. */
  destroyDue(limit: number): Promise<number>;
  /** Called with the number of keys that were destroyed, when any was. */
  destroyed(count: number): void;
  /** Unique to this replica. */
  holder?: string;
}

export interface DestructionRounds {
  /** Does nothing while another replica has the lease. Begins no further batch once the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Notes what passed since the last round, and leaves the lease to others. */
  end(): Promise<void>;
}

/** No replica of an earlier version takes it: those work without a lease. */
const leaseName = "maintenance/2";
/** Two rounds. */
const leaseTtlMs = 2 * 60_000;
const batchSize = 100;
const adoptedAtOnce = 1_000;
const dayMs = 24 * 60 * 60_000;
/** Of the days that an earlier version scheduled some may be over, but one is left. */
const waits = { leastMs: dayMs, mostMs: destructionDays.most * dayMs };

export function destructionRounds(options: RoundsOptions): DestructionRounds {
  const { store, witness, destroyDue, destroyed, holder = newHolder() } = options;
  let generation: number | undefined;

  async function adoptAll(time: WitnessedTime, signal: AbortSignal): Promise<void> {
    const afterMs = time.witnessedMs + waits.mostMs;
    for (;;) {
      const names = await store.unwitnessedDestructions(afterMs, adoptedAtOnce);
      const outcomes: PromiseSettledResult<void>[] = [];
      for (const name of names) outcomes.push(...(await Promise.allSettled([adopt(name, time)])));
      const failed = outcomes.filter(({ status }) => status === "rejected");
      const isLast = names.length < adoptedAtOnce || failed.length === names.length;
      if (isLast && failed[0] !== undefined) throw (failed[0] as PromiseRejectedResult).reason;
      if (isLast || signal.aborted) return;
    }
  }

  async function adopt({ tenantId, keyId }: KeyName, time: WitnessedTime): Promise<void> {
    const present = await store.get(tenantId, keyId);
    if (present?.state !== "DESTROY_SCHEDULED") return;
    await store.setDestroyWait(present, adoptedWait(present, time)).catch((error) => {
      if (!hasCode(error, "CONFLICT")) throw error; // it was cancelled meanwhile
    });
  }

  async function destroyAll(signal: AbortSignal): Promise<void> {
    for (let count = batchSize; count === batchSize && !signal.aborted; ) {
      count = await destroyDue(batchSize);
      if (count > 0) destroyed(count);
    }
  }

  return {
    async run(signal) {
      generation = undefined;
      ({ generation } = await store.lease(leaseName, holder, leaseTtlMs));
      if (generation === undefined) return void (await witness.read()); // to know how old the time is that another noted
      const time = await witness.note({ name: leaseName, generation });
      step("time.noted");
      const adopted = await Promise.allSettled([adoptAll(time, signal)]);
      await destroyAll(signal);
      if (adopted[0].status === "rejected") throw adopted[0].reason;
    },
    async end() {
      if (generation === undefined) return;
      await witness.note({ name: leaseName, generation });
      await store.lease(leaseName, holder, 0);
    },
  };
}

/**
 * The wait of a destruction that has none: what is left of it by the wall clock now, unless a second clock says that this is wrong. A
 * destruction whose wait began at a time that is not witnessed yet, because the noted time was put back, waits from the beginning.
 */
export function adoptedWait({ destroyAt, destroyWait }: KeyRecord, time: WitnessedTime): DestroyWait {
  const sinceMs = time.witnessedMs;
  if (destroyWait !== undefined || destroyAt === undefined || !agree(time)) return { sinceMs, waitMs: waits.mostMs };
  const leftMs = destroyAt.getTime() - time.wallAt.getTime();
  return { sinceMs, waitMs: Math.min(waits.mostMs, Math.max(waits.leastMs, leftMs)) };
}
