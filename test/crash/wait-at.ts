/**
 * Preloaded into a command, and so into the thread of its SQLite store too: at the step that FLUO_WAIT_AT names it says so on standard
 * error, and waits until something comes on standard input, or its end.
 */
import { readSync, writeSync } from "node:fs";
import { steps } from "../../src/failpoints.ts";

const { FLUO_WAIT_AT: at } = process.env;

steps.subscribe((published) => {
  if (published !== at) return;
  writeSync(2, `waiting at ${at}\n`);
  readSync(0, new Uint8Array(1));
});
