/**
 * Time in which this process was scheduled. Time in which the machine did not run it, or its event loop was blocked, does not count as a wait:
 * an answer may have come then, and is read only after the timers that are due.
 */
import type { Time, Timer } from "./time.ts";

const tickMs = 50;
/** The most that a tick counts for, however late it is. */
const maxTickMs = 100;

/** Runs `late` after `ms` of such time. Keeps no process alive. Returns a function that cancels it. */
export function afterScheduled(time: Time, ms: number, late: () => void): () => void {
  let leftMs = ms;
  let countedMs = time.monotonicMs();
  let timer = wait();

  function wait(): Timer {
    return time.after(Math.min(tickMs, leftMs), tick);
  }

  function tick(): void {
    const nowMs = time.monotonicMs();
    leftMs -= Math.min(nowMs - countedMs, maxTickMs);
    countedMs = nowMs;
    if (leftMs <= 0) late();
    else timer = wait();
  }

  return () => time.clear(timer);
}
