/**
 * `npm run soak:floods -- --seconds 14`: the service as a process of its own under one flood after the other, from one address, while a
 * client calls it 100 times a second from another. A flood may neither fail a call, nor double the time of the slowest hundredth beside
 * an idle core, nor take 64 MiB, nor leave something broken. Each flood has a service of its own. All floods are measured `--runs` times
 * in turns, and the median is judged. `--only NAME` takes one, and may be given several times; `--pace N` has floods open at most N
 * connections a second. `--short` measures some floods once, for a moment, and judges no rate. Without Go
 * nothing is run: scripts/tools/not-run.ts says so.
 */
import { parseArgs } from "node:util";
import { notRun } from "../../scripts/tools/not-run.ts";
import { floods } from "./all.ts";
import { judgementsOf, type Measured, measureFlood, rateJudgementsOf, ratioOf, rowOf, type Slices } from "./measure.ts";
import { buildProgram } from "./program.ts";

const names = Object.keys(floods);
/** One of each kind: of streams, headers, bodies and callers. */
const inShort = ["resets", "headers", "slow-bodies", "strangers"];
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "14" },
    runs: { type: "string", default: "3" },
    only: { type: "string", multiple: true },
    pace: { type: "string", default: "0" },
    short: { type: "boolean", default: false },
  },
});
const only = values.only ?? (values.short ? inShort : names);
const [seconds, runs] = values.short ? [1.5, 1] : [Number(values.seconds), Number(values.runs)];
const unknown = only.filter((name) => !names.includes(name));
const pace = Number(values.pace);
if (!(seconds > 0) || ![pace, runs].every(Number.isSafeInteger) || runs < 1 || unknown.length > 0) {
  console.error(`--seconds N --runs N --pace N --short --only ${names.join("|")}`);
  process.exit(2);
}
const slices: Slices = { pace, floodedSeconds: seconds, idleSeconds: seconds };
const mostRatio = 2;

process.exitCode = await main();

async function main(): Promise<number> {
  try {
    buildProgram();
  } catch (error) {
    const failed = notRun("floods", (error as Error).message);
    console.log(`0 passed, ${failed} failed`);
    return failed;
  }
  const measured: Measured[] = [];
  let broken = 0;
  for (let run = 1; run <= runs; run += 1) {
    for (const name of only) {
      const each = await measure(name);
      if (each) measured.push(each);
      else broken += 1;
    }
  }
  return judge(measured, broken);
}

/** Undefined if the service or a program broke, so that nothing could be measured. */
async function measure(name: string): Promise<Measured | undefined> {
  try {
    const measured = await measureFlood(name, floods[name]!, slices);
    console.log(JSON.stringify(measured));
    return measured;
  } catch (error) {
    console.log(`FAILED ${name}: ${error}`);
    return undefined;
  }
}

/** Prints a table of them, and what is wrong with each. */
function judge(measured: readonly Measured[], broken: number): number {
  const byName = Map.groupBy(measured, ({ name }) => name);
  console.table(
    Object.fromEntries(
      [...byName].flatMap(([name, all]) => all.map((each, run) => [`${name} ${run + 1}`, rowOf(each)])),
    ),
  );
  for (const [name, all] of byName)
    console.log(`${name}: ratios ${all.map((each) => ratioOf(each).toFixed(2)).join(", ")}`);
  if (values.short)
    console.log(`SHORT: no rate is judged, and ${names.length - only.length} of ${names.length} floods are left out`);
  const all = [...byName].flatMap(([name, of]) =>
    [...of.flatMap(judgementsOf), ...(values.short ? [] : rateJudgementsOf(of, mostRatio))].map((judged) => ({
      name,
      ...judged,
    })),
  );
  const failures = all.filter(({ problem }) => problem !== undefined);
  for (const { name, problem } of failures) console.log(`FAILED ${name}: ${problem}`);
  const failed = failures.length + broken;
  console.log(`${all.length - failures.length} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}
