/**
 * Has Node keep what it makes of every module of src/, see src/runtime/compile-cache.js: so that the first service is as fast to start as the next, and
 * as small, also where it may write nothing. In a thread, because some modules are what threads begin with.
 */
import { createSecretKey } from "node:crypto";
import { globSync } from "node:fs";
import { join } from "node:path";
import { isMainThread, MessageChannel, Worker } from "node:worker_threads";
import { keepCompiled } from "../src/runtime/compile-cache.js";
import { gateMemory } from "../src/store/sqlite/reader-gate.ts";

const src = join(import.meta.dirname, "..", "src");

if (isMainThread) {
  keepCompiled();
  const { port1: port } = new MessageChannel();
  // As the threads of a store are given it.
  const workerData = { file: ":memory:", memory: gateMemory(), port, key: createSecretKey(new Uint8Array(32)) };
  new Worker(new URL(import.meta.url), { workerData, transferList: [port] });
} else {
  for (const file of globSync("**/*.ts", { cwd: src })) await import(join(src, file));
  process.exit();
}
