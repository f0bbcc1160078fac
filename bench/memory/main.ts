/** The most that the service holds in memory while streams load it, in a fresh process each time. */
import { startClient } from "../client/client.ts";
import { aligned, digits, type Spread, spread, textOf } from "../figures.ts";
import { tenantId } from "../requests.ts";
import { startService } from "../server/server.ts";
import { type StreamShape, subjectsOf } from "../subjects.ts";
import { canWatch, type Resident, watchMemory } from "./resident.ts";

interface MemoryRow {
  title: string;
  shape: Pick<StreamShape, "mode" | "batchesEach" | "spansABatch" | "ahead">;
  /** MiB, of the kernel's figure. */
  atMost?: number;
}

export interface MemoryResult extends MemoryRow, Record<keyof Resident, Spread> {
  /** Undefined where every run was refused. */
  itemsPerSecond: Spread | undefined;
  /** Runs that the service ended for want of memory: its right, but not what is hoped for. */
  refused: number;
}

const streams = 64;
const [processes, atLeastMs] = [3, 6000];
const batchOf100 = { batchesEach: 12, spansABatch: 100, ahead: 8 };
/** A message of just under 4 MiB, which is the limit. */
const batchOf4MiB = { batchesEach: 1, spansABatch: 9_590, ahead: 1 };

const rows: readonly MemoryRow[] = [
  { title: "64 streams, INDIVIDUAL, batches of 100", shape: { mode: "INDIVIDUAL", ...batchOf100 }, atMost: 300 },
  { title: "64 streams, LOG, batches of 100", shape: { mode: "LOG", ...batchOf100 }, atMost: 300 },
  { title: "64 streams, INDIVIDUAL, messages of 4 MiB", shape: { mode: "INDIVIDUAL", ...batchOf4MiB } },
  { title: "64 streams, LOG, messages of 4 MiB", shape: { mode: "LOG", ...batchOf4MiB } },
];

export async function memory(): Promise<MemoryResult[]> {
  if (!canWatch) {
    console.log("\nSKIPPED: memory, because this is not Linux");
    return [];
  }
  const results: MemoryResult[] = [];
  for (const row of rows) results.push(await measure(row));
  console.log(`\n${aligned(memoryTable(results))}`);
  return results;
}

async function measure(row: MemoryRow): Promise<MemoryResult> {
  const samples: Awaited<ReturnType<typeof loadFresh>>[] = [];
  for (let turn = 0; turn < processes; turn += 1) samples.push(await loadFresh(row.shape));
  const of = (figure: keyof Resident) => spread(samples.map(({ resident }) => resident[figure]));
  return {
    ...row,
    before: of("before"),
    sampled: of("sampled"),
    kernel: of("kernel"),
    itemsPerSecond: spreadOf(samples.flatMap(({ rates }) => rates)),
    refused: samples.reduce((sum, { refused }) => sum + refused, 0),
  };
}

async function loadFresh(shape: MemoryRow["shape"]) {
  const client = startClient();
  const service = await startService();
  const subjects = subjectsOf(service, client);
  const load = subjects.signSpans({ ...shape, streams, atOnce: streams, tenants: [tenantId] });
  const watch = watchMemory(service.pid);
  const rates: number[] = [];
  let refused = 0;
  const endMs = performance.now() + atLeastMs;
  try {
    while (performance.now() < endMs) {
      try {
        rates.push((await load()).throughput!.itemsPerSecond);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        refused += 1;
      }
    }
    return { resident: watch.resident(), rates, refused };
  } finally {
    watch.stop();
    subjects.close();
    await client.stop();
    await service.stop();
  }
}

/** grpc-js says UNAVAILABLE where a stream is reset while it writes, and names the reset. */
function isRefusal(error: unknown): boolean {
  return /RESOURCE_EXHAUSTED|ENHANCE_YOUR_CALM/.test(String(error));
}

function spreadOf(values: readonly number[]): Spread | undefined {
  return values.length === 0 ? undefined : spread(values);
}

function memoryTable(results: readonly MemoryResult[]): string[][] {
  return [
    [
      "memory of the service",
      "before",
      "most, sampled",
      "most, by the kernel",
      "target",
      "",
      "spans a second",
      "refused",
    ],
    ...results.map(({ title, before, sampled, kernel, atMost, itemsPerSecond, refused }) => [
      title,
      textOf(before, " MiB"),
      textOf(sampled, " MiB"),
      textOf(kernel, " MiB"),
      ...(atMost === undefined ? ["–", ""] : [`${atMost} MiB`, kernel.median < atMost ? "met" : "missed"]),
      itemsPerSecond === undefined ? "–" : digits(itemsPerSecond.median),
      String(refused),
    ]),
  ];
}
