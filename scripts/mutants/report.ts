/** What a run of mutants found, for readers and for another run. */
import { readFileSync } from "node:fs";
import type { Mutant } from "./change.ts";
import type { Verdict } from "./judge.ts";

export interface Judged extends Verdict, Pick<Mutant, "name" | "isByHand"> {
  hunk: string;
}

export interface Report {
  commit: string;
  seed: number;
  mutants: Judged[];
}

const tiers = ["near", "npm test", "test:processes"];

export function lineOfJudged({ name, tier, test, seconds }: Judged): string {
  return `${tier ? "caught" : "SURVIVED"}  ${tier ?? ""}  ${Math.round(seconds)} s  ${name}  ${test}`;
}

/** Returns counts by kind and tier. */
export function tableOf(mutants: readonly Judged[]): string {
  const row = (cells: readonly (string | number)[]) =>
    cells
      .map((cell) => String(cell).padEnd(16))
      .join("")
      .trimEnd();
  const kinds = [
    { kind: "by hand", of: mutants.filter(({ isByHand }) => isByHand) },
    { kind: "by seed", of: mutants.filter(({ isByHand }) => !isByHand) },
  ];
  const rows = kinds.map(({ kind, of }) => {
    const counts = [...tiers, undefined].map((tier) => of.filter((each) => each.tier === tier).length);
    const seconds = of.reduce((sum, each) => sum + each.seconds, 0);
    return row([kind, ...counts, of.length > 0 ? Math.round(seconds / of.length) : "-"]);
  });
  return [row(["", ...tiers, "survived", "seconds each"]), ...rows].join("\n");
}

/** Prints the mutants that `before` caught and `after` did not, and returns their number. */
export function compare(before: string, after: string): number {
  const [a, b]: Report[] = [before, after].map((file) => JSON.parse(readFileSync(file, "utf8")));
  const later = new Map(b!.mutants.map((each) => [each.name, each]));
  const lost = a!.mutants.filter(({ name, tier }) => tier !== undefined && later.get(name)?.tier === undefined);
  for (const each of lost) {
    console.log(`${each.name}: ${later.has(each.name) ? "survives" : "did not run"}; before, ${each.test}`);
  }
  const seconds = ({ mutants }: Report) => Math.round(mutants.reduce((sum, each) => sum + each.seconds, 0));
  console.log(`${a!.commit}: ${seconds(a!)} s; ${b!.commit}: ${seconds(b!)} s`);
  console.log(`${lost.length} of ${a!.mutants.length} are caught no more`);
  return lost.length;
}
