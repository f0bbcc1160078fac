/**
 * Streams sealed and opened between files, and the memory that it takes. In a thread with a small young generation: V8 otherwise lets 64 MiB of
 * buffers that nobody holds any more pile up before it collects them.
 */

import { once } from "node:events";
import { createReadStream, createWriteStream, readFileSync, writeFileSync } from "node:fs";
import { finished } from "node:stream/promises";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import type { GrpcKms } from "@fluo/kms/node";
import { openBytes, openStream, sealBytes, sealStream } from "@fluo/kms/node";
import { print } from "./checks.ts";
import { grpcKms, type World } from "./world.ts";

export const sealedStream = (world: World) => inThread({ world, move: "seal" });
export const openedStream = (world: World) => inThread({ world, move: "open" });

interface Work {
  world: World;
  move: "seal" | "open";
}

async function inThread(work: Work): Promise<number> {
  const thread = new Worker(new URL(import.meta.url), {
    workerData: work,
    resourceLimits: { maxYoungGenerationSizeMb: 4 },
  });
  await once(thread, "exit"); // an error of the thread rejects
  print("1 passed, 0 failed");
  return 0;
}

if (!isMainThread) await measure(workerData as Work);

async function measure({ world, move }: Work): Promise<void> {
  const { tenant, context, from, to, out } = world;
  const kms = grpcKms(world);
  await warmUp(kms, tenant);
  const source = createReadStream(from, { highWaterMark: 64 * 1024 });
  const sink = createWriteStream(to);
  const before = memory();
  await (move === "seal" ? sealStream : openStream)(kms, tenant, source, sink, { context });
  const peakGrowthBytes = memory().peak - before.now;
  sink.end();
  await finished(sink);
  kms.close();
  writeFileSync(out, JSON.stringify({ language: "typescript", peakGrowthBytes }));
}

async function warmUp(kms: GrpcKms, tenant: string): Promise<void> {
  await openBytes(kms, tenant, await sealBytes(kms, tenant, new Uint8Array(100_000)));
  try {
    writeFileSync("/proc/self/clear_refs", "5"); // the peak begins anew
  } catch {} // then the peak is that of the whole process
}

/** In bytes. */
function memory(): { now: number; peak: number } {
  const status = readFileSync("/proc/self/status", "utf8");
  const [now, peak] = ["VmRSS", "VmHWM"].map(
    (name) => 1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)![1]),
  ) as [number, number];
  return { now, peak };
}
