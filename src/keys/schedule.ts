/** Rotates due keys by the clock: a Quartz expression, UTC. Batch by batch, until none is due or one batch gets nowhere. */
import { Cron } from "croner";
import type { Rotation, RotationResult } from "./rotation.ts";

export interface RotationSchedule {
  next(): Date | undefined;
  /** Rotations that failed since start. */
  failed(): number;
  stop(): void;
}

export interface ScheduleOptions {
  /** Weekdays are Quartz's: 1 is Sunday. */
  cron: string;
  rotation: Rotation;
  /** Told once a batch, and of an error that ended a run. */
  report(result: RotationResult): void;
  fail(error: unknown): void;
}

export function scheduleRotation({ cron, rotation, report, fail }: ScheduleOptions): RotationSchedule {
  let failed = 0;
  const run = async () => {
    for (;;) {
      const result = await rotation.rotateDue();
      failed += result.failed.length;
      report(result);
      if (result.remaining === 0 || result.rotated.length === 0) return;
    }
  };
  const options = { timezone: "UTC", alternativeWeekdays: true, protect: true, unref: true, catch: fail };
  const job = new Cron(cron, options, run);
  return {
    next: () => job.nextRun() ?? undefined,
    failed: () => failed,
    stop: () => job.stop(),
  };
}
