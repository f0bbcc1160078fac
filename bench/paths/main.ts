/** What each path costs. */
import { aligned } from "../figures.ts";
import { profileTable } from "../profile.ts";
import { interleave, type Rounds } from "../rounds.ts";
import { loads } from "./loads.ts";
import { type PathResult, pathTable, resultOf } from "./results.ts";
import type { Row } from "./row.ts";
import { starts } from "./starts.ts";

export interface PathOptions {
  /** Names of rows. */
  only?: readonly string[] | undefined;
  /** A directory for CPU profiles of the service's process. */
  profile?: string | undefined;
}

const loadRounds: Rounds = { warmUps: 1, rounds: 5, thereAndBack: true };
const startRounds: Rounds = { warmUps: 0, rounds: 5, thereAndBack: false };

export async function paths({ only, profile }: PathOptions): Promise<PathResult[]> {
  const loaded = await loads(profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`]);
  const started = await starts();
  try {
    const names = [...loaded.rows, ...started.rows].map(({ name }) => name);
    const unknown = only?.filter((name) => !names.includes(name)) ?? [];
    if (unknown.length > 0) throw new Error(`${unknown.join(", ")}: a row is ${names.join(", ")}`);
    const asked = (rows: Row[]) => rows.filter(({ name }) => only?.includes(name) ?? true);
    const results = [
      ...(await measure(asked(loaded.rows), loadRounds)),
      ...(await measure(asked(started.rows), startRounds)),
    ];
    console.log(aligned(pathTable(results)));
    return results;
  } finally {
    await Promise.all([loaded.stop(), started.stop()]);
    if (profile !== undefined) console.log(`\n${aligned(profileTable(profile))}`);
  }
}

async function measure(rows: readonly Row[], rounds: Rounds): Promise<PathResult[]> {
  const takes = rows.map(({ subject, limits }) => [subject, ...limits.flatMap((limit) => limit.takes)]);
  const samples = await interleave(takes, rounds);
  return rows.map((row, index) => resultOf(row, samples[index]!));
}
