/** Metrics that are read when they are exported. */
import type { Meter } from "@opentelemetry/api";

/** A value of one series, with its labels. */
export type Sample = readonly [value: number, labels: Readonly<Record<string, string>>];

/** Reads the one series of a metric, or all of them. What it leaves out is not exported. */
export type Read = () => number | undefined | Iterable<Sample>;

export interface Observer {
  gauge(name: string, description: string, read: Read): void;
  /** A gauge in seconds: an age, or a Unix time. */
  seconds(name: string, description: string, read: Read): void;
  counter(name: string, description: string, read: Read): void;
}

/** Called once for each metric that cannot be read. */
export type ReadFailed = (error: unknown, metric: string) => void;

export function createObserver(meter: Meter, failed: ReadFailed): Observer {
  const reported = new Set<string>();
  const reading = (name: string, read: Read): Read => {
    return () => {
      try {
        return read();
      } catch (error) {
        if (!reported.has(name)) failed(error, name);
        reported.add(name);
        return undefined;
      }
    };
  };
  const gauge = (name: string, options: object) => meter.createObservableGauge(name, options);
  return {
    gauge: (name, description, read) => observe(gauge(name, { description }), reading(name, read)),
    seconds: (name, description, read) => observe(gauge(name, { description, unit: "s" }), reading(name, read)),
    counter: (name, description, read) =>
      observe(meter.createObservableCounter(name, { description }), reading(name, read)),
  };
}

export function flag(is: boolean): 0 | 1 {
  return is ? 1 : 0;
}

/** Gives 1 for the one that is, and 0 for all others. */
export function oneOf<Name extends string>(label: string, names: readonly Name[], present: Name): Sample[] {
  return names.map((name) => [flag(name === present), { [label]: name }]);
}

/** Unix time in seconds; 0 for never. */
export function unixSeconds(at: Date | undefined): number {
  return (at?.getTime() ?? 0) / 1_000;
}

function observe(metric: ReturnType<Meter["createObservableGauge"]>, read: Read): void {
  metric.addCallback((result) => {
    const value = read();
    if (typeof value === "number") result.observe(value);
    else for (const [each, labels] of value ?? []) result.observe(each, labels);
  });
}
