#!/usr/bin/env node
/**
 * The command line's entry, in a checkout and in a package. What it does is in cli/. Any Node since 20 reads what is loaded here, and goes on
 * under the one that comes with the packages.
 */
import { existsSync } from "node:fs";

/** The code: as it was written in a checkout, and compiled in a package. */
const isCheckout = existsSync(new URL("cli/run.ts", import.meta.url));
const code = isCheckout ? "." : "../dist/src";

// Node ends at the first two and opens a debugger at the third; from here on they do nothing, unless the command takes them.
for (const signal of ["SIGHUP", "SIGUSR2", "SIGUSR1"]) process.on(signal, () => {});

/** @type {typeof import("./runtime/flags.js")} */
const { missingFlags } = await import(`${code}/runtime/flags.js`);
process.exitCode = await run(missingFlags());

async function run(/** @type {readonly string[]} */ missing) {
  if (missing.length > 0) {
    /** @type {typeof import("./launch/relaunch.js")} */
    const { relaunch } = await import(`${code}/launch/relaunch.js`);
    return relaunch(missing);
  }
  /** @type {typeof import("./runtime/compile-cache.js")} */
  const { keepCompiled } = await import(`${code}/runtime/compile-cache.js`);
  keepCompiled();
  /** @type {typeof import("./cli/run.ts")} */
  const { runCommandLine } = await import(`${code}/cli/run.${isCheckout ? "ts" : "js"}`);
  return runCommandLine(process.argv.slice(2));
}
