/**
 * Decides when a pass is due, and who makes it. A SQLite file is examined by each service that opens it, at its start and every week.
 * Replicas on one database take turns: the holder of the lease `integrity` works.
 *
 * A pass that found nothing is noted in the lease, and is enough for a week for every replica that had started when it began. A replica that
 * starts later may have found a database that was put back, so it wants another pass; one is enough for all that start while a pass runs. A
 * pass that found something takes the note back, so that every replica makes a pass and finds it too.
 */
import type { Time } from "../runtime/time.ts";
import { hasCode } from "../errors.ts";
import { keepRenewing, newHolder, replicaClockSkewMs } from "../store/lease-renewal.ts";
import { type LeaseStore, orAltered } from "../store/lease-store.ts";

interface OwnPass {
  beganAt: Date;
  finishedAt: Date;
  isClean: boolean;
}

export interface Turns {
  /**
   * Runs `pass` if it is due and nobody else is at it. Resolves with the time until it is to be called again, in milliseconds. `pass` gives
   * whether nothing was found.
   */
  take(pass: (signal: AbortSignal) => Promise<boolean>, signal: AbortSignal): Promise<number>;
  /** When a pass that found nothing last began, of any replica, since this one started, as far as it is known here. */
  cleanAt(): Date | undefined;
}

const leaseName = "integrity";
const leaseTtlMs = 60_000;
const weekMs = 7 * 86_400_000;
/** Time until a finding is looked for again. */
const dayMs = 86_400_000;
/** Time between looks whether the replica that works has finished, or stopped. */
const lookMs = 60_000;
/** Time between looks whether a pass is due. */
const idleMs = 600_000;
/** Noted in the place of a time, before any start. */
const nothingClean = new Date(0);

export function ownTurns(time: Time): Turns {
  let cleanAt: Date | undefined;
  return {
    async take(pass, signal) {
      const beganAt = time.now();
      const isClean = await pass(signal);
      if (isClean) cleanAt = beganAt;
      return isClean ? weekMs : dayMs;
    },
    cleanAt: () => cleanAt,
  };
}

export function sharedTurns(store: LeaseStore, time: Time): Turns {
  const holder = newHolder();
  const startedAt = time.now();
  let cleanAt: Date | undefined;
  let own: OwnPass | undefined;

  function isDue(): boolean {
    const now = time.now().getTime();
    // A replica that found something looks for it once a day, and when another says that it is gone.
    const isFound = own !== undefined && !own.isClean;
    if (isFound && (cleanAt === undefined || cleanAt <= own!.beganAt)) return now - own!.finishedAt.getTime() >= dayMs;
    if (isFound || cleanAt === undefined) return true;
    // One that is yet to come was noted by a clock that was wrong.
    return now - cleanAt.getTime() >= weekMs || cleanAt.getTime() > now + replicaClockSkewMs;
  }

  return {
    cleanAt: () => cleanAt,

    async take(pass, signal) {
      const lease = await orAltered(store.lease(leaseName, holder, leaseTtlMs));
      if (lease === "altered") {
        await pass(signal);
        return dayMs;
      }
      cleanAt = lease.finishedAt !== undefined && lease.finishedAt >= startedAt ? lease.finishedAt : undefined;
      if (lease.generation === undefined) return lookMs;
      const { generation } = lease;
      let isNoted = false;
      try {
        if (!isDue()) return idleMs;
        const beganAt = time.now();
        const renewing = keepRenewing(store, { name: leaseName, generation, holder, ttlMs: leaseTtlMs }, time);
        let isClean: boolean;
        try {
          isClean = await pass(AbortSignal.any([signal, renewing.lost]));
        } finally {
          await renewing.stop();
        }
        own = { beganAt, finishedAt: time.now(), isClean };
        cleanAt = isClean ? beganAt : undefined;
        await store.finishLease({ name: leaseName, generation }, cleanAt ?? nothingClean);
        isNoted = true;
        return idleMs;
      } catch (error) {
        if (hasCode(error, "LEASE_LOST") || ((error as Error).name === "AbortError" && !signal.aborted)) return lookMs;
        throw error;
      } finally {
        if (!isNoted) await store.lease(leaseName, holder, 0).catch(() => {}); // it ends by itself
      }
    },
  };
}
