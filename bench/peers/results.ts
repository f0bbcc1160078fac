/** Samples of both sides to figures, and the printed tables: CPU and items a second, each beside its targets. */
import { digits, ratios, type Spread, spread, textOf } from "../figures.ts";
import { type Sample, type ThroughputSpread, throughputOf } from "../slice.ts";
import { type Contender, contenders, type PeerRow, type Target } from "./rows.ts";

export interface PeerResult {
  name: string;
  title: string;
  /** Microseconds of the server's CPU an item. */
  cpu: Record<Contender, Spread>;
  throughput: Record<Contender, ThroughputSpread>;
  /** As in Target, of the same round. */
  ratios: Record<Target["figure"], Record<Target["peer"], Spread>>;
  targets: (Target & { met: boolean })[];
}

/** A list of samples for each of `contenders`. */
export function resultOf({ name, title, targets }: PeerRow, samples: readonly (readonly Sample[])[]): PeerResult {
  const each = <T>(figure: (samples: readonly Sample[]) => T) =>
    Object.fromEntries(contenders.map((contender, index) => [contender, figure(samples[index]!)])) as Record<
      Contender,
      T
    >;
  const cpu = each((of) => of.map(({ value }) => value));
  const items = each((of) => of.map(({ throughput }) => throughput!.itemsPerSecond));
  const compared: PeerResult["ratios"] = {
    cpu: { off: ratios(cpu.off, cpu.ours), on: ratios(cpu.on, cpu.ours) },
    items: { off: ratios(items.ours, items.off), on: ratios(items.ours, items.on) },
  };
  return {
    name,
    title,
    cpu: each((of) => spread(of.map(({ value }) => value))),
    throughput: each((of) => throughputOf(of)!),
    ratios: compared,
    targets: targets.map((target) => {
      return { ...target, met: compared[target.figure][target.peer].median >= target.atLeast };
    }),
  };
}

export function cpuTable(results: readonly PeerResult[]): string[][] {
  return [
    ["server's CPU", "ours", "peer, audit off", "ratio", "target", "", "peer, audit on", "ratio", "target", ""],
    ...results.map((result) => [
      result.title,
      textOf(result.cpu.ours, " µs"),
      textOf(result.cpu.off, " µs"),
      textOf(result.ratios.cpu.off, " x"),
      ...judged(result, "cpu", "off"),
      textOf(result.cpu.on, " µs"),
      textOf(result.ratios.cpu.on, " x"),
      ...judged(result, "cpu", "on"),
    ]),
  ];
}

export function itemsTable(results: readonly PeerResult[]): string[][] {
  return [
    [
      "items a second",
      "ours",
      "peer, audit off",
      "ratio",
      "target",
      "",
      "peer, audit on",
      "ratio",
      "target",
      "",
      cores,
    ],
    ...results.map((result) => [
      result.title,
      textOf(result.throughput.ours.itemsPerSecond, ""),
      textOf(result.throughput.off.itemsPerSecond, ""),
      textOf(result.ratios.items.off, " x"),
      ...judged(result, "items", "off"),
      textOf(result.throughput.on.itemsPerSecond, ""),
      textOf(result.ratios.items.on, " x"),
      ...judged(result, "items", "on"),
      contenders.map((contender) => coresOf(result.throughput[contender])).join("; "),
    ]),
  ];
}

const cores = "cores, server + client: ours; off; on";

function coresOf({ serverCores, clientCores }: ThroughputSpread): string {
  return `${digits(serverCores.median)} + ${digits(clientCores.median)}`;
}

function judged({ targets }: PeerResult, figure: Target["figure"], peer: Target["peer"]): [string, string] {
  const target = targets.find((each) => each.figure === figure && each.peer === peer);
  return target === undefined ? ["–", ""] : [`${target.atLeast} x`, target.met ? "met" : "missed"];
}
