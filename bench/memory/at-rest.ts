/** What the service holds in memory at rest, once each thread of its pool has worked, by their number. In a fresh process each time. */
import { readdirSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { startClient } from "../client/client.ts";
import { aligned, type Spread, spread, textOf } from "../figures.ts";
import { tenantId } from "../requests.ts";
import { startService } from "../server/server.ts";
import { subjectsOf } from "../subjects.ts";
import { canWatch, watchMemory } from "./resident.ts";

export interface AtRestResult {
  /** Value of fluo.kms.threads. */
  threads: number;
  /** MiB, before the first batch: no thread has started. */
  before: Spread;
  /** MiB, at rest after batches of two streams a thread. */
  after: Spread;
}

const counts = [1, 2, 4, 8];
const processes = 3;
const restMs = 5_000;
/** Loads until all threads have started: one that is idle takes a batch before another starts. */
const maxLoads = 20;

export async function atRest(): Promise<AtRestResult[]> {
  if (!canWatch) {
    console.log("\nSKIPPED: memory at rest, because this is not Linux");
    return [];
  }
  const results: AtRestResult[] = [];
  for (const threads of counts) {
    const samples: { before: number; after: number }[] = [];
    for (let turn = 0; turn < processes; turn += 1) samples.push(await workAndRest(threads));
    const of = (figure: "before" | "after") => spread(samples.map((sample) => sample[figure]));
    results.push({ threads, before: of("before"), after: of("after") });
  }
  console.log(`\n${aligned(table(results))}`);
  return results;
}

async function workAndRest(threads: number) {
  const client = startClient();
  const service = await startService({ env: { FLUO_KMS_THREADS: String(threads) } });
  const subjects = subjectsOf(service, client);
  const load = subjects.signSpans({
    mode: "INDIVIDUAL",
    batchesEach: 4,
    spansABatch: 1_000,
    ahead: 2,
    streams: 2 * threads,
    atOnce: 2 * threads,
    tenants: [tenantId],
  });
  try {
    await delay(restMs);
    const before = residentOf(service.pid);
    const ofTheRest = tasksOf(service.pid);
    for (let loads = 0; tasksOf(service.pid) - ofTheRest < threads; loads += 1) {
      if (loads === maxLoads) throw new Error(`not all of ${threads} threads have started`);
      await load();
    }
    await delay(restMs);
    return { before, after: residentOf(service.pid) };
  } finally {
    subjects.close();
    await client.stop();
    await service.stop();
  }
}

function residentOf(pid: number): number {
  const watch = watchMemory(pid);
  watch.stop();
  return watch.resident().before;
}

/** Number of threads of a process, of which each thread of the pool is one. */
function tasksOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

function table(results: readonly AtRestResult[]): string[][] {
  const one = results[0]?.after.median ?? 0;
  return [
    ["memory at rest", "before a batch", "after", "for each thread more"],
    ...results.map(({ threads, before, after }) => [
      `fluo.kms.threads=${threads}`,
      textOf(before, " MiB"),
      textOf(after, " MiB"),
      threads === 1 ? "–" : `${((after.median - one) / (threads - 1)).toFixed(1)} MiB`,
    ]),
  ];
}
