/** Runs that are planned by a Quartz expression, in UTC. */
import { Cron } from "croner";
import type { Time, Timer } from "./time.ts";

export interface PlannedRuns {
  /** When the first run after `date`, or after now, is planned; undefined if there is none. */
  next(date?: Date): Date | undefined;
  stop(): void;
}

/** Longest wait until the wall clock is read again, which may have been set meanwhile. */
const longestWaitMs = 30_000;

/** Calls `run` at each planned time. One that the wall clock jumps over is made up for, once. */
export function planRuns(expression: string, time: Time, run: () => void): PlannedRuns {
  const plan = new Cron(expression, { paused: true, timezone: "UTC", alternativeWeekdays: true });
  const next = (date = time.now()) => plan.nextRun(date) ?? undefined;
  let due = next();
  let timer = wait();

  function wait(): Timer | undefined {
    if (due === undefined) return undefined;
    return time.after(Math.min(Math.max(due.getTime() - time.now().getTime(), 0), longestWaitMs), look);
  }

  function look(): void {
    const now = time.now();
    const isDue = due! <= now;
    due = next(now); // the clock may have been set back
    timer = wait();
    if (isDue) run();
  }

  return { next, stop: () => time.clear(timer) };
}
