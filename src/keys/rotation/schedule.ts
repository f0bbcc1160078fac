/**
 * When due keys are rotated: by a Quartz expression, UTC, each replica up to 30 s later so that not all look at once. Each also looks soon
 * after its start and every 5 minutes whether a run was missed, or failed, and then catches up. Where another replica is at it, it looks again
 * soon: that one may die. See due-run.ts for a run, which is the work of one replica: 100 keys a batch, at most 100 a second.
 */
import { Cron } from "croner";
import { newHolder } from "../../store/held-lease.ts";
import type { Store } from "../../store/store.ts";
import type { Rotation, RotationResult } from "./rotation.ts";
import { rotationRuns } from "./due-run.ts";

export interface RotationSchedule {
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
  clock?: () => Date;
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
  const { cron, rotation, store, clock = () => new Date(), random = Math.random, report, fail } = options;
  const { leaseTtlMs = 60_000 } = options;
  const stopped = new AbortController();
  const timers = new Set<NodeJS.Timeout>();
  let again: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;

  const job = new Cron(cron, { timezone: "UTC", alternativeWeekdays: true, unref: true }, () => lookAfter(0));
  const runs = rotationRuns({
    rotation,
    store,
    hasOwnKey: options.hasOwnKey,
    plannedAfter: (date) => job.nextRun(date) ?? undefined,
    holder: newHolder(),
    clock,
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
    const timer = setTimeout(work, ms + jitterMs * random()).unref();
    timers.add(timer);
  }

  function lookAgain(): void {
    clearTimeout(again);
    if (!stopped.signal.aborted) again = setTimeout(look, lookAgainMs + lookAgainJitterMs * random()).unref();
  }

  const keepLooking = () => lookAfter(lookEveryMs, keepLooking);
  lookAfter(0, keepLooking);

  return {
    next: () => job.nextRun() ?? undefined,
    last: runs.last,
    failed: runs.failed,
    async stop() {
      stopped.abort();
      job.stop();
      for (const timer of [...timers, again]) clearTimeout(timer);
      await running;
    },
  };
}
