/** What a span costs in LOG mode by how large its log is, how many streams write, and how many logs they write to. */
import { startClient } from "../client/client.ts";
import { aligned, digits, ratios, type Spread, spread, textOf } from "../figures.ts";
import { interleave } from "../rounds.ts";
import { type Sample, type ThroughputSpread, throughputOf } from "../slice.ts";
import { type StreamShape, subjectsOf, usualBatches } from "../subjects.ts";
import { logSizes, startWithLogs, tenants } from "./sizes.ts";

interface LogRow {
  title: string;
  shape: Pick<StreamShape, "streams" | "atOnce" | "batchesEach" | "tenants">;
}

interface LogGrowth {
  title: string;
  /** One for each of logSizes. */
  sizes: { leaves: number; cpu: Spread; throughput: ThroughputSpread; ratio: Spread; met: boolean }[];
}

const alone = tenants.slice(0, 1);
const target = 1.3;

/** Where there are many tenants, a stream has one batch of each by turns. */
const rows: readonly LogRow[] = [
  { title: "64 streams, 1 tenant", shape: { streams: 64, atOnce: 64, batchesEach: 12, tenants: alone } },
  { title: "1 stream, 1 tenant", shape: { streams: 1, atOnce: 1, batchesEach: 500, tenants: alone } },
  { title: "64 streams, 1,000 tenants", shape: { streams: 1000, atOnce: 64, batchesEach: 1, tenants } },
  { title: "1 stream, 1,000 tenants", shape: { streams: 250, atOnce: 1, batchesEach: 1, tenants } },
];

export async function logs(): Promise<LogGrowth[]> {
  const client = startClient();
  const services = [];
  for (const size of logSizes) services.push(await startWithLogs(size));
  const subjects = services.map((service) => subjectsOf(service, client));
  try {
    const takes = rows.map(({ shape }) =>
      subjects.map(({ signSpans }) => signSpans({ mode: "LOG", ...usualBatches, ...shape })),
    );
    const samples = await interleave(takes, { warmUps: 1, rounds: 5, thereAndBack: true });
    const results = rows.map(({ title }, index) => growthOf(title, samples[index]!));
    console.log(`\n${aligned(logTable(results))}`);
    return results;
  } finally {
    for (const { close } of subjects) close();
    await client.stop();
    for (const { stop } of services) await stop();
  }
}

function growthOf(title: string, samples: readonly (readonly Sample[])[]): LogGrowth {
  const values = samples.map((of) => of.map(({ value }) => value));
  const sizes = logSizes.map(({ leaves }, index) => {
    const ratio = ratios(values[index]!, values[0]!);
    const [cpu, throughput] = [spread(values[index]!), throughputOf(samples[index]!)!];
    return { leaves, cpu, throughput, ratio, met: ratio.median <= target };
  });
  return { title, sizes };
}

function logTable(results: readonly LogGrowth[]): string[][] {
  const [first, ...others] = logSizes.map(({ leaves }) => `${leaves.toLocaleString("en")} leaves`);
  return [
    [
      "SignSpans LOG, CPU a span",
      first!,
      ...others.flatMap((title) => [title, "ratio", ""]),
      "spans a second, by size",
    ],
    ...results.map(({ title, sizes: [smallest, ...larger] }) => [
      title,
      textOf(smallest!.cpu, " µs"),
      ...larger.flatMap(({ cpu, ratio, met }) => [textOf(cpu, " µs"), textOf(ratio, " x"), met ? "met" : "missed"]),
      [smallest!, ...larger].map(({ throughput }) => digits(throughput.itemsPerSecond.median)).join(", "),
    ]),
  ];
}
