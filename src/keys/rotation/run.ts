/**
 * One run of the rotation: all keys that are due, by one replica at a time. Whoever holds the lease `rotation/2` works, in batches of 100;
 * each activation is fenced by it, so that a replica that was stopped and resumed cannot write behind its successor's back. A run that was
 * complete is noted in the store; one that was missed, or failed for want of an answer, is caught up with by whichever replica looks next.
 * Before one was noted nobody knows what was missed, so the first look runs: with nothing due it is complete at once.
 */
import { hasCode, type KmsErrorCode } from "../../errors.ts";
import { step } from "../../failpoints.ts";
import { keepRenewing, renewLease, replicaClockSkewMs } from "../../store/lease-renewal.ts";
import type { Fence } from "../../store/lease-store.ts";
import type { Store } from "../../store/store.ts";
import { failureScope } from "./scope.ts";
import type { FailedRotation, Rotation, RotationResult } from "./rotation.ts";
import type { Time } from "../../runtime/time.ts";

export interface RunOptions {
  rotation: Pick<Rotation, "rotateDue">;
  store: Pick<Store, "lease" | "finishLease">;
  /** The first time after `date` for which a run is planned. */
  plannedAfter(date: Date): Date | undefined;
  /** Whether a tenant has a provider key of its own: what is wrong with that keeps no run from the keys of others, nor from its end. */
  hasOwnKey?: ((tenantId: string) => boolean) | undefined;
  /** Unique to this replica. */
  holder: string;
  time: Time;
  leaseTtlMs: number;
  /** Told once a batch. */
  report(result: RotationResult): void;
}

export interface RotationRuns {
  /**
   * Does what a planned run should have done, unless a replica has done it or is at it: `held` if one is. Throws what ended a run early.
   * When the signal aborts it rotates no more keys, waits for those that are under way, and gives the lease back.
   */
  runIfMissed(signal: AbortSignal): Promise<"held" | undefined>;
  /** When a complete run, of any replica, began, as far as it is known here. */
  last(): Date | undefined;
  /** Rotations that failed, since start. */
  failed(): number;
}

/** Differs from the lease of earlier versions, which may run beside this one and must not rotate any more. */
const leaseName = "rotation/2";
const batchSize = 100;
const unanswered: readonly KmsErrorCode[] = ["PROVIDER_UNAVAILABLE", "STORE_UNAVAILABLE"];

export function rotationRuns(options: RunOptions): RotationRuns {
  const { rotation, store, plannedAfter, hasOwnKey = () => false, holder, time, leaseTtlMs, report } = options;
  /** Undefined before the store was asked, too. */
  let finishedAt: Date | undefined;
  let failed = 0;

  function isMissed(): boolean {
    const now = time.now();
    // One that is yet to come was noted by a clock that was wrong: until it is noted anew no planned run would count as missed.
    if (finishedAt === undefined || finishedAt.getTime() > now.getTime() + replicaClockSkewMs) return true;
    const planned = plannedAfter(finishedAt);
    return planned !== undefined && planned <= now;
  }

  /** Whether all that was due was tried and answered. */
  async function rotateAll(fence: Fence, signal: AbortSignal): Promise<boolean> {
    const except = new Set<string>();
    let isAnswered = true;
    for (;;) {
      await renewLease(store, { ...fence, holder, ttlMs: leaseTtlMs });
      const result = await rotation.rotateDue({ limit: batchSize, fence, except }, signal);
      step("rotation.batch");
      failed += result.failed.length;
      report(result);
      for (const { keyId } of result.failed) if (keyId !== undefined) except.add(keyId);
      const failures = result.failed.filter((each) => failureScope(each, hasOwnKey) === "service");
      if (failures.some(({ error }) => hasCode(error, ...unanswered))) isAnswered = false;
      if (result.remaining <= except.size) return isAnswered;
      if (getsNowhere(result, failures)) return false;
    }
  }

  async function run(fence: Fence, signal: AbortSignal): Promise<boolean> {
    const beganAt = time.now();
    const renewing = keepRenewing(store, { ...fence, holder, ttlMs: leaseTtlMs }, time); // a batch may take long
    let isComplete: boolean;
    try {
      isComplete = await rotateAll(fence, AbortSignal.any([signal, renewing.lost]));
    } finally {
      await renewing.stop();
    }
    if (!isComplete) return false;
    await store.finishLease(fence, beganAt);
    finishedAt = beganAt;
    return true;
  }

  return {
    async runIfMissed(signal) {
      if (!isMissed()) return undefined;
      const lease = await store.lease(leaseName, holder, leaseTtlMs);
      finishedAt = lease.finishedAt;
      if (lease.generation === undefined) return "held";
      step("lease.taken");
      let isFinished = false;
      try {
        if (isMissed()) isFinished = await run({ name: leaseName, generation: lease.generation }, signal);
      } finally {
        // Ends at once what nobody works under. Where that fails it ends by itself.
        if (!isFinished) await store.lease(leaseName, holder, 0).catch(() => {});
      }
      return undefined;
    },
    last: () => finishedAt,
    failed: () => failed,
  };
}

/** Nothing came of it, and not because of damaged records or tenants' own provider keys alone: what follows would fare no better. */
function getsNowhere({ rotated, skipped, failed }: RotationResult, failures: readonly FailedRotation[]): boolean {
  if (rotated.length + skipped.length > 0) return false;
  return failed.length === 0 || failures.some(({ error }) => error.code !== "DATA_LOSS");
}
