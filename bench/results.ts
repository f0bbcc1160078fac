/** Samples to medians and ranges, and the printed table. */
import type { Row } from "./rows.ts";

export interface Sample {
  subject: number;
  limit: number;
}

export interface Spread {
  median: number;
  min: number;
  max: number;
}

export interface Result extends Pick<Row, "name" | "title" | "unit" | "target" | "absolute"> {
  subject: Spread;
  /** Undefined for a row without limit. */
  limit: Spread | undefined;
  /** Of the ratios of each round, not the ratio of the medians. */
  ratio: Spread | undefined;
  met: boolean;
}

export function resultOf({ name, title, unit, target, absolute, limits }: Row, samples: Sample[]): Result {
  const subject = spread(samples.map((sample) => sample.subject));
  const relative = limits.length > 0;
  const limit = relative ? spread(samples.map((sample) => sample.limit)) : undefined;
  const ratio = relative ? spread(samples.map((sample) => sample.subject / sample.limit)) : undefined;
  const judged = absolute ? subject.median : (ratio?.median ?? Number.NaN);
  return { name, title, unit, target, absolute, subject, limit, ratio, met: judged <= target };
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)]!, sorted[Math.floor(sorted.length / 2)]!];
  return { median: (low + high) / 2, min: sorted[0]!, max: sorted.at(-1)! };
}

export function table(results: Result[]): string {
  return aligned([
    ["path", "subject: median (range)", "limit: median (range)", "ratio: median (range)", "target", ""],
    ...results.map(({ title, unit, subject, limit, ratio, target, absolute, met }) => [
      title,
      textOf(subject, ` ${unit}`),
      limit === undefined ? "–" : textOf(limit, ` ${unit}`),
      ratio === undefined ? "–" : textOf(ratio, " x"),
      absolute ? `${target} ${unit}` : `${target} x`,
      met ? "met" : "missed",
    ]),
  ]);
}

export function aligned(lines: string[][]): string {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

export function textOf({ median, min, max }: Spread, unit: string): string {
  return `${digits(median)}${unit} (${digits(min)} – ${digits(max)})`;
}

function digits(value: number): string {
  return value >= 100
    ? value.toFixed(0)
    : value >= 10
      ? value.toFixed(1)
      : value >= 0.1
        ? value.toFixed(2)
        : value.toFixed(4);
}
