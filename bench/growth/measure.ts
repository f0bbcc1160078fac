/** Rounds over all calls and sizes, and the printed table: what each call costs, as a ratio to the smallest size of the same round. */
import { ratios, spread, textOf } from "../figures.ts";
import { interleave } from "../rounds.ts";
import type { Sample } from "../slice.ts";
import { type GrowthCall, growthCalls } from "./calls.ts";
import { openSizes, type Place, type Size, type SizeName } from "./sizes.ts";

const rounds = 7;
const target = 1.3;

export interface Growth {
  store: string;
  title: string;
  /** Microseconds, by size: the median of each slice. */
  samples: Record<SizeName, number[]>;
}

export async function measureGrowth(place: Place): Promise<Growth[]> {
  const filledAt = performance.now();
  const sizes = await openSizes(place);
  const contents = sizes.map(({ name, keyRows, auditRows }) => `${name}: ${keyRows} keys, ${auditRows} audit rows`);
  const seconds = ((performance.now() - filledAt) / 1000).toFixed(0);
  console.log(`\n${place.name}, filled in ${seconds} s in one transaction each: ${contents.join("; ")}`);

  const takes = growthCalls.map((growthCall) => sizes.map((size) => () => slice(growthCall, size)));
  const samples = await interleave(takes, { warmUps: 1, rounds, thereAndBack: false });
  for (const size of sizes) await size.close();
  return growthCalls.map(({ title }, index) => {
    const bySize = sizes.map(({ name }, at) => [name, samples[index]![at]!.map(({ value }) => value)]);
    return { store: place.name, title, samples: Object.fromEntries(bySize) };
  });
}

/** Microseconds of the median run: a neighbour that takes the core meets few of them. */
async function slice({ runs, ready }: GrowthCall, size: Size): Promise<Sample> {
  const { prepare, run } = await ready(size);
  const times: number[] = [];
  for (let turn = 0; turn < runs; turn += 1) {
    await prepare?.(turn);
    const startedMs = performance.now();
    const answer = run(turn);
    if (answer instanceof Promise) await answer;
    times.push((performance.now() - startedMs) * 1000);
  }
  return { value: spread(times).median };
}

export function growthTable(growth: readonly Growth[]): string[][] {
  return [
    ["call", "10 tenants", "100,000 tenants", "ratio", "", "100 versions", "ratio", ""],
    ...growth.map(({ title, samples }) => [
      title,
      text(samples.few),
      text(samples.tenants),
      ...judged(samples.tenants, samples.few),
      text(samples.versions),
      ...judged(samples.versions, samples.few),
    ]),
  ];
}

function judged(samples: readonly number[], smallest: readonly number[]): string[] {
  const ratio = ratios(samples, smallest);
  return [textOf(ratio, " x"), ratio.median <= target ? "met" : "missed"];
}

function text(samples: readonly number[]): string {
  return textOf(spread(samples), " µs");
}
