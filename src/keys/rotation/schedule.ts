/**
 * When due keys are rotated: by a Quartz expression, UTC, each replica up to 30 s later so that not all look at once. Each also looks soon
 * after its start and every 5 minutes whether a run was missed, or failed, and then catches up. Where another replica is at it, it looks again
 * soon: that one may die. See run.ts for a run, which is the work of one replica: 100 keys a batch, at most 100 a second.
 */
import { planRuns } from "../../runtime/planned-runs.ts";
import { newHolder } from "../../store/lease-renewal.ts";
import type { Store } from "../../store/store.ts";
import type { Rotation, RotationResult } from "./rotation.ts";
import { rotationRuns } from "./run.ts";
import type { Time, Timer } from "../../runtime/time.ts";

export interface RotationSchedule {
  /** Begins to look; until then nothing is rotated. */
  start(): void;
  /** When a run is planned next. */
  next(): Date | undefined;
  /** When a complete run, of any replica, began, as far as it is known here. */
  last(): Date | undefined;
  /** Rotations that failed since start. */
  failed(): number;
  /** Begins nothing more, waits for the keys that are being rotated, and leaves the rest to other replicas. */
  stop(): Promise<void>;
}

export interface ScheduleOptions {
  /** Weekdays are Quartz's: 1 is Sunday. */
  cron: string;
  rotation: Pick<Rotation, "rotateDue">;
  store: Pick<Store, "lease" | "finishLease">;
  /** Whether a tenant has a provider key of its own. */
  hasOwnKey?: (tenantId: string) => boolean;
  time: Time;
  /** In [0, 1). */
  random?: () => number;
  /** Milliseconds for which a replica that died keeps others from rotating. */
  leaseTtlMs?: number;
  /** Told once a batch, and of an error that ended a run. */
  report(result: RotationResult): void;
  fail(error: unknown): void;
}

const jitterMs = 30_000;
const lookEveryMs = 5 * 60_000;
/** Pause, under half a minute with the jitter: so soon after the end of a lease another replica has it. */
const lookAgainMs = 15_000;
const lookAgainJitterMs = 10_000;

export function scheduleRotation(options: ScheduleOptions): RotationSchedule {
  const { cron, rotation, store, time, random = Math.random, report, fail } = options;
  const { leaseTtlMs = 60_000 } = options;
  const stopped = new AbortController();
  const timers = new Set<Timer>();
  let again: Timer | undefined;
  let running: Promise<void> | undefined;

  let isStarted = false;
  // The first look after the start finds a run that was planned before it.
  const plan = planRuns(cron, time, () => isStarted && lookAfter(0));
  const runs = rotationRuns({
    rotation,
    store,
    hasOwnKey: options.hasOwnKey,
    plannedAfter: plan.next,
    holder: newHolder(),
    time,
    leaseTtlMs,
    report,
  });

  /** A run that is under way does what one more would do. */
  function look(): void {
    running ??= runs
      .runIfMissed(stopped.signal)
      .then((outcome) => {
        if (outcome === "held") lookAgain();
      })
      .catch((error) => {
        if (!stopped.signal.aborted) fail(error);
      })
      .finally(() => {
        running = undefined;
      });
  }

  function lookAfter(ms: number, then?: () => void): void {
    const work = () => {
      timers.delete(timer);
      look();
      then?.();
    };
    const timer = time.after(ms + jitterMs * random(), work);
    timers.add(timer);
  }

  function lookAgain(): void {
    time.clear(again);
    if (!stopped.signal.aborted) again = time.after(lookAgainMs + lookAgainJitterMs * random(), look);
  }

  const keepLooking = () => lookAfter(lookEveryMs, keepLooking);

  return {
    start() {
      isStarted = true;
      lookAfter(0, keepLooking);
    },
    next: () => plan.next(),
    last: runs.last,
    failed: runs.failed,
    async stop() {
      stopped.abort();
      plan.stop();
      for (const timer of [...timers, again]) time.clear(timer);
      await running;
    },
  };
}
