/** What each path costs, in rounds over all of them, so that a slow spell of the machine meets all. */
import { type Result, resultOf, type Sample, table } from "./results.ts";
import { prepare, type Row } from "./rows.ts";

/** `only` names one row; `profile` is a directory for CPU profiles of the service's process. */
export async function paths({ only, profile }: { only?: string | undefined; profile?: string | undefined }) {
  const bench = await prepare(profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`]);
  const rows = bench.rows.filter(({ name }) => only === undefined || only === name);
  if (rows.length === 0) throw new Error(`--only takes one of ${bench.rows.map(({ name }) => name).join(", ")}`);
  const results = await measure(rows);
  await bench.stop();
  console.log(table(results));
  return results;
}

async function measure(rows: Row[]): Promise<Result[]> {
  const warmUps = 3;
  for (let turn = 0; turn < warmUps; turn += 1) {
    for (const row of rows) if (row.limits.length > 0) await sample(row, turn);
  }
  const samples = rows.map((): Sample[] => []);
  for (let round = 0; round < Math.max(...rows.map((row) => row.rounds)); round += 1) {
    for (const [index, row] of rows.entries()) {
      if (round < row.rounds) samples[index]?.push(await sample(row, round));
    }
  }
  return rows.map((row, index) => resultOf(row, samples[index] ?? []));
}

/** The subject comes first in every other round. */
async function sample({ subject, limits }: Row, round: number): Promise<Sample> {
  const first = round % 2 === 0 ? await subject() : undefined;
  let limit = 0;
  for (const slice of limits) limit += await slice();
  return { subject: first ?? (await subject()), limit };
}
