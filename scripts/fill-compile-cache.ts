/**
 * Has Node keep what it makes of every module of src/, see src/runtime/compile-cache.js: so that the first service is as fast to start as the next, and
 * as small, also where it may write nothing. In a thread, because some modules are what threads begin with.
 */
import { globSync } from "node:fs";
import { join } from "node:path";
import { isMainThread, Worker } from "node:worker_threads";
import { keepCompiled } from "../src/runtime/compile-cache.js";

const src = join(import.meta.dirname, "..", "src");

if (isMainThread) {
  keepCompiled();
  new Worker(new URL(import.meta.url), { workerData: { file: ":memory:" } });
} else {
  for (const file of globSync("**/*.ts", { cwd: src })) await import(join(src, file));
  process.exit();
}
