/** Samples of the paths to figures, and the printed table: a line for each limit of a row. */
import { digits, ratios, type Spread, spread, textOf } from "../figures.ts";
import { type Sample, type ThroughputSpread, throughputOf } from "../slice.ts";
import type { Limit, Row } from "./row.ts";

export interface PathResult extends Pick<Row, "name" | "title" | "unit" | "atMost"> {
  subject: Spread;
  throughput: ThroughputSpread | undefined;
  limits: LimitResult[];
}

export interface LimitResult extends Pick<Limit, "title" | "atMost"> {
  limit: Spread;
  ratio: Spread;
}

/** `samples` are the subject's, and then those of each part of each limit, in their order. */
export function resultOf({ limits, subject: _, ...row }: Row, [subjects, ...others]: Sample[][]): PathResult {
  const values = valuesOf(subjects!);
  let next = 0;
  return {
    ...row,
    subject: spread(values),
    throughput: throughputOf(subjects!),
    limits: limits.map(({ takes, ...limit }) => {
      const parts = others.slice(next, next + takes.length).map(valuesOf);
      next += takes.length;
      const sums = values.map((_value, round) => parts.reduce((sum, part) => sum + part[round]!, 0));
      return { ...limit, limit: spread(sums), ratio: ratios(values, sums) };
    }),
  };
}

function valuesOf(samples: readonly Sample[]): number[] {
  return samples.map(({ value }) => value);
}

export function pathTable(results: readonly PathResult[]): string[][] {
  return [
    ["path", "median (range)", "limit", "median (range)", "ratio", "target", "", "a second", "cores: server, client"],
    ...results.flatMap((result) => result.limits.map((limit, line) => row(result, limit, line === 0))),
  ];
}

function row(result: PathResult, { title, limit, ratio, atMost }: LimitResult, isFirst: boolean): string[] {
  const { unit, throughput } = result;
  return [
    isFirst ? result.title : "",
    isFirst ? textOf(result.subject, ` ${unit}`) : "",
    title,
    textOf(limit, ` ${unit}`),
    textOf(ratio, " x"),
    ...(atMost !== undefined
      ? [`${digits(atMost)} x`, ratio.median <= atMost ? "met" : "missed"]
      : result.atMost !== undefined
        ? [`${digits(result.atMost)} ${unit}`, result.subject.median <= result.atMost ? "met" : "missed"]
        : ["–", ""]),
    ...(isFirst && throughput !== undefined
      ? [
          digits(throughput.itemsPerSecond.median),
          `${digits(throughput.serverCores.median)}, ${digits(throughput.clientCores.median)}`,
        ]
      : ["", ""]),
  ];
}
