/** Notes for each file which worker ran it, and its processor time: for the results of a run, see summary-reporter.ts. */
import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll } from "vitest";

declare module "vitest" {
  interface TaskMeta {
    worker?: number;
    cpuMs?: number;
  }
}

const clockTicksPerSecond = 100;

// A setup file is evaluated before each test file, and before that file's imports.
const before = cpuMs();
// biome-ignore lint/correctness/noEmptyPattern: Vitest reads from the pattern which fixtures are wanted
beforeAll(({}, { file }) => {
  file.meta.worker = process.pid;
});
// biome-ignore lint/correctness/noEmptyPattern: likewise
afterAll(({}, { file }) => {
  file.meta.cpuMs = Math.round(cpuMs() - before);
});

/** Processor time of this process, and on Linux of its children that have ended, in milliseconds. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  const own = (user + system) / 1_000;
  if (!existsSync("/proc/self/stat")) return own;
  // The name of the program, in brackets, may have blanks.
  const afterName = readFileSync("/proc/self/stat", "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  const ofChildren = afterName.slice(13, 15).map(Number);
  return own + ((ofChildren[0]! + ofChildren[1]!) * 1_000) / clockTicksPerSecond;
}
