/** What a client that calls at its times notices of others: the same calls without them and beside them, by turns. */
import { setTimeout as delay } from "node:timers/promises";
import type { Caller } from "./client/caller.ts";
import { type Spread, spread } from "./figures.ts";
import { openLoop, quantile } from "./rotation/open-loop.ts";

export interface Steady {
  /** Of a connection of its own, that nobody else uses. */
  connect(): Caller;
  path: string;
  request: Uint8Array;
  perSecond: number;
}

/** The calls of all slices beside the others, and the slowest hundredth of each slice, and its middle call. */
export interface Beside extends Pair {
  calls: number;
  failed: number;
  p50: Pair;
}

/** Milliseconds; and the ratio of a slice beside the others to the mean of those around it. */
export interface Pair {
  alone: Spread;
  beside: Spread;
  ratio: Spread;
}

export interface Others {
  begin(): Promise<void>;
  end(): Promise<void>;
}

interface Extent {
  sliceMs: number;
  rounds: number;
}

/** Slices without them and beside them in turn. A machine that becomes slower or faster meanwhile does so for both. */
export async function takeBeside(steady: Steady, others: Others, { sliceMs, rounds }: Extent): Promise<Beside> {
  const [alone, beside]: [Slice[], Slice[]] = [[await slice(steady, sliceMs)], []];
  for (let round = 0; round < rounds; round += 1) {
    beside.push(await sliceBeside(steady, others, sliceMs));
    alone.push(await slice(steady, sliceMs));
  }
  return besideOf(alone, beside);
}

/** The same, and in each round a slice beside others who only use the machine. */
export async function takeBesideBoth(
  steady: Steady,
  { others, elsewhere }: { others: Others; elsewhere: Others },
  { sliceMs, rounds }: Extent,
): Promise<{ beside: Beside; elsewhere: Beside }> {
  const [alone, beside, apart]: [Slice[], Slice[], Slice[]] = [[await slice(steady, sliceMs)], [], []];
  for (let round = 0; round < rounds; round += 1) {
    const isTurned = round % 2 === 1;
    for (const isElsewhere of [isTurned, !isTurned]) {
      const taken = await sliceBeside(steady, isElsewhere ? elsewhere : others, sliceMs);
      (isElsewhere ? apart : beside).push(taken);
    }
    alone.push(await slice(steady, sliceMs));
  }
  return { beside: besideOf(alone, beside), elsewhere: besideOf(alone, apart) };
}

async function sliceBeside(steady: Steady, others: Others, sliceMs: number): Promise<Slice> {
  await others.begin();
  const taken = await slice(steady, sliceMs);
  await others.end();
  return taken;
}

function besideOf(alone: readonly Slice[], beside: readonly Slice[]): Beside {
  const sum = (of: "calls" | "failed") => beside.reduce((total, each) => total + each[of], 0);
  return {
    calls: sum("calls"),
    failed: sum("failed"),
    ...pairOf("p99", alone, beside),
    p50: pairOf("p50", alone, beside),
  };
}

function pairOf(quantile: "p50" | "p99", alone: readonly Slice[], beside: readonly Slice[]): Pair {
  const [apart, near] = [alone, beside].map((slices) => slices.map((each) => each[quantile])) as [number[], number[]];
  const ratio = spread(near.map((ms, index) => ms / ((apart[index]! + apart[index + 1]!) / 2)));
  return { alone: spread(apart), beside: spread(near), ratio };
}

interface Slice {
  p50: number;
  p99: number;
  calls: number;
  failed: number;
}

/** On a new connection, that a first call makes. */
async function slice({ connect, path, request, perSecond }: Steady, sliceMs: number): Promise<Slice> {
  const client = connect();
  let failed = 0;
  await client.call(path, request);
  const loop = openLoop(perSecond, () =>
    client.call(path, request).catch(() => {
      failed += 1;
    }),
  );
  await delay(sliceMs);
  await loop.stop();
  client.close();
  const [p50, p99] = [quantile(loop.timed, 0.5), quantile(loop.timed, 0.99)];
  return { p50, p99, calls: loop.timed.length, failed };
}

/** Its median and range. */
export function msText({ median, min, max }: Spread): string {
  return `${median.toFixed(1)} (${min.toFixed(1)} – ${max.toFixed(1)}) ms`;
}

export function ratioText({ median, min, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)} – ${max.toFixed(2)})`;
}
