/**
 * `npm run bench`: prints what each path costs as a ratio to its limit, both taken in the same run. Timing never fails it.
 * Options: `--json FILE`, `--only NAME`, `--cpu-prof DIR` (of the service's process). README.md says what the figures mean.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { type Result, resultOf, type Sample, table } from "./results.ts";
import { prepare, type Row } from "./rows.ts";

const { values: options } = parseArgs({
  options: { json: { type: "string" }, only: { type: "string" }, "cpu-prof": { type: "string" } },
});
const profile = options["cpu-prof"];
const bench = await prepare(profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`]);
const rows = bench.rows.filter(({ name }) => options.only === undefined || options.only === name);
if (rows.length === 0) throw new Error(`--only takes one of ${bench.rows.map(({ name }) => name).join(", ")}`);

const results = await measure(rows);
await bench.stop();
console.log(`node ${process.version}, ${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown"}\n`);
console.log(table(results));
if (options.json !== undefined) {
  mkdirSync(dirname(options.json), { recursive: true });
  writeFileSync(options.json, `${JSON.stringify(results, undefined, 2)}\n`);
}

/** Rounds go over all rows, so that a slow spell of the machine meets all of them. */
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
