#!/usr/bin/env node
/** The command line's entry. What it does is in cli/. */
import { keepCompiled } from "./runtime/compile-cache.js";
import { missingFlags, relaunch } from "./runtime/relaunch.js";

// Node ends at the first two and opens a debugger at the third; from here on they do nothing, unless the command takes them.
for (const signal of ["SIGHUP", "SIGUSR2", "SIGUSR1"]) process.on(signal, () => {});

process.exitCode = await run(missingFlags());

async function run(/** @type {readonly string[]} */ missing) {
  if (missing.length > 0) return relaunch(missing);
  keepCompiled();
  const { runCommandLine } = await import("./cli/run.ts");
  return runCommandLine(process.argv.slice(2));
}
