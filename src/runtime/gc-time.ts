/** Time that garbage collections take, in which nothing else of their thread runs. */
import { constants, type PerformanceNodeEntry, PerformanceObserver } from "node:perf_hooks";

const kinds = {
  [constants.NODE_PERFORMANCE_GC_MINOR]: "minor",
  [constants.NODE_PERFORMANCE_GC_MAJOR]: "major",
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: "incremental",
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: "weakcb",
} as const;

export interface GcTime {
  /** Seconds since the start, of each kind of collection. */
  seconds(): Readonly<Record<string, number>>;
  close(): void;
}

export function startGcTime(): GcTime {
  const sums: Record<string, number> = Object.fromEntries(Object.values(kinds).map((kind) => [kind, 0]));
  const observer = new PerformanceObserver((list) => {
    for (const { detail, duration } of list.getEntries() as PerformanceNodeEntry[]) {
      const kind = kinds[detail!.kind!];
      if (kind !== undefined) sums[kind]! += duration / 1_000;
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  return { seconds: () => sums, close: () => observer.disconnect() };
}
