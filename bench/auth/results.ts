/** Samples of calls and functions to figures, and the printed tables. */
import { digits, ratios, type Spread, spread, textOf } from "../figures.ts";
import type { Sample } from "../slice.ts";
import { algorithms, known } from "./credentials.ts";

export interface CallResult {
  title: string;
  /** Microseconds of CPU a call. */
  cpu: Spread;
  /** Over the empty call of the same round. */
  ratio: Spread;
  /** Above the same bytes to a service that asks for no credentials; undefined for such a one itself. */
  added: Added | undefined;
}

export interface Added {
  /** Of the least of all rounds: what else the machine does only adds, and to a process of its own more than this is. */
  least: number;
  /** Within each round. */
  rounds: Spread;
}

export interface AuthResults {
  calls: CallResult[];
  /** Microseconds of CPU, each with the check of role and tenant. */
  functions: { title: string; cpu: Spread }[];
  firstSights: { title: string; cpu: Spread }[];
}

/** Microseconds a call that our part may add. */
const atMost = 5;

const titles = [
  ["an empty call", undefined],
  ["none", undefined],
  ["a certificate", 1],
  ["none, and the header of a static token", undefined],
  ["a static token", 3],
  ["none, and the header of a JWT", undefined],
  ["a JWT that is remembered", 5],
] as const;

export function resultsOf(calls: Sample[][], loops: Sample[][], firstSights: Sample[][]): AuthResults {
  const values = calls.map(valuesOf);
  const [tenant, ...found] = loops.map(valuesOf).toReversed();
  return {
    calls: titles.map(([title, control], at) => ({
      title,
      cpu: spread(values[at]!),
      ratio: ratios(values[at]!, values[0]!),
      added: control && addedTo(values[control]!, values[at]!),
    })),
    functions: known.map((name, at) => {
      const own = found[known.length - 1 - at]!;
      return { title: functionTitles[name], cpu: spread(own.map((value, round) => value + tenant![round]!)) };
    }),
    firstSights: algorithms.map((name, at) => ({
      title: `the first sight of a token by ${name}`,
      cpu: spread(valuesOf(firstSights[at]!)),
    })),
  };
}

function addedTo(control: readonly number[], values: readonly number[]): Added {
  return {
    least: Math.min(...values) - Math.min(...control),
    rounds: spread(values.map((value, round) => value - control[round]!)),
  };
}

const functionTitles = { certificate: "a certificate", static: "a static token", jwt: "a JWT that is remembered" };

function valuesOf(samples: readonly Sample[]): number[] {
  return samples.map(({ value }) => value);
}

export function callTable({ calls }: AuthResults): string[][] {
  return [
    [
      "GenerateDataKey over TLS, by",
      "CPU a call",
      "over an empty call",
      "added to none and the same bytes: least; median (range)",
      "target",
      "",
    ],
    ...calls.map(({ title, cpu, ratio, added }) => [
      ...[title, textOf(cpu, " µs"), textOf(ratio, " x")],
      ...(added ? [textOfAdded(added), `${atMost} µs`, added.least <= atMost ? "met" : "missed"] : ["–", "–", ""]),
    ]),
  ];
}

/** A difference may be less than nothing. */
function textOfAdded({ least, rounds: { median, min, max } }: Added): string {
  const text = (value: number) => (value < 0 ? `-${digits(-value)}` : digits(value));
  return `${text(least)} µs; ${text(median)} (${text(min)} – ${text(max)})`;
}

export function functionTable({ functions, firstSights }: AuthResults): string[][] {
  return [
    ["in the process, without a transport", "CPU", "target", ""],
    ...functions.map(({ title, cpu }) => [
      ...[`who calls, by ${title}, and whether they may`, textOf(cpu, " µs")],
      ...[`${atMost} µs`, cpu.median <= atMost ? "met" : "missed"],
    ]),
    ...firstSights.map(({ title, cpu }) => [title, textOf(cpu, " µs"), "–", ""]),
  ];
}
