/** One figure of one round: what a server's process used while it was loaded, over what it did meanwhile. */
import type { Check } from "./checks.ts";
import type { Loaded } from "./client/load.ts";
import { type Spread, spread } from "./figures.ts";
import type { Server } from "./server/server.ts";

export interface Sample {
  /** In the row's unit. */
  value: number;
  /** Of a load. */
  throughput?: Throughput;
}

export interface Throughput {
  itemsPerSecond: number;
  /** CPU time over wall time. */
  serverCores: number;
  clientCores: number;
}

/** Takes a sample. */
export type Take = () => Promise<Sample>;

export interface Slice {
  server: Pick<Server, "cpu">;
  run: () => Promise<Loaded>;
  /** In one run. */
  items: number;
  check?: Check;
}

/** Microseconds of the server process's CPU an item. */
export function cpuAnItem({ server, run, items, check }: Slice): Take {
  return async () => {
    const before = await server.cpu();
    const { seconds, clientMicros, last } = await run();
    const micros = (await server.cpu()) - before;
    await check?.(last);
    const throughput = {
      itemsPerSecond: items / seconds,
      serverCores: micros / seconds / 1e6,
      clientCores: clientMicros / seconds / 1e6,
    };
    return { value: micros / items, throughput };
  };
}

/** Of samples of one take. */
export function meanOf(samples: readonly Sample[]): Sample {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const throughputs = samples.flatMap(({ throughput }) => throughput ?? []);
  const value = mean(samples.map((sample) => sample.value));
  if (throughputs.length === 0) return { value };
  const throughput = {
    itemsPerSecond: mean(throughputs.map(({ itemsPerSecond }) => itemsPerSecond)),
    serverCores: mean(throughputs.map(({ serverCores }) => serverCores)),
    clientCores: mean(throughputs.map(({ clientCores }) => clientCores)),
  };
  return { value, throughput };
}

export type ThroughputSpread = Record<keyof Throughput, Spread>;

/** Undefined where nothing was loaded. */
export function throughputOf(samples: readonly Sample[]): ThroughputSpread | undefined {
  const all = samples.flatMap(({ throughput }) => throughput ?? []);
  if (all.length === 0) return undefined;
  return {
    itemsPerSecond: spread(all.map(({ itemsPerSecond }) => itemsPerSecond)),
    serverCores: spread(all.map(({ serverCores }) => serverCores)),
    clientCores: spread(all.map(({ clientCores }) => clientCores)),
  };
}
