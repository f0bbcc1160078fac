/**
 * Preloaded into the service, and so into the thread of its SQLite store too: SIGKILL at the n-th publication of a named step, as
 * FLUO_CRASH_AT says (key.inserted:3). With FLUO_CRASH_ARMED_BY only what happens once that file is there counts. The step is written to
 * standard error first, so that whoever waits for the end knows where it came.
 */
import { existsSync, writeSync } from "node:fs";
import { isMainThread } from "node:worker_threads";
import { steps } from "../../src/failpoints.ts";

const { FLUO_CRASH_AT: at, FLUO_CRASH_ARMED_BY: armedBy } = process.env;

if (at !== undefined) {
  const [name, nth] = at.split(":");
  let left = Number(nth);
  let isArmed = armedBy === undefined;
  steps.subscribe((published) => {
    if (published !== name) return;
    isArmed ||= existsSync(armedBy!);
    if (!isArmed) return;
    left -= 1;
    if (left > 0) return;
    writeSync(2, `killed at ${name}\n`);
    process.kill(process.pid, "SIGKILL");
  });
}

// Whoever started it is gone: nobody would end it.
if (isMainThread) {
  process.stdin.on("end", () => process.kill(process.pid, "SIGKILL")).resume();
  (process.stdin as { unref?(): void }).unref?.();
}
