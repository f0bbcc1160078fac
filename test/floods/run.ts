/**
 * `npm run soak:floods -- --seconds 14`: the service as a process of its own under one flood after the other, from one address, while a
 * client calls it 100 times a second from another. A flood may neither fail a call, nor double the time of the slowest hundredth beside
 * an idle core, nor take 64 MiB, nor leave something broken. Each flood has a service of its own. `--only NAME` takes one, and may be
 * given several times; `--pace N` has floods open at most N connections a second. `--short` is the form for continuous integration, of
 * five minutes: what a flood does at first is over a hundredth of its slices, so ten times the p99 may pass. Without Go
 * nothing is run: scripts/tools/not-run.ts says so.
 */
import { parseArgs } from "node:util";
import { notRun } from "../../scripts/tools/not-run.ts";
import { floods } from "./all.ts";
import { isSlow, judgementsOf, type Measured, measureFlood, medianOf, rowOf, type Slices } from "./measure.ts";
import { buildProgram } from "./program.ts";

const names = Object.keys(floods);
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "14" },
    only: { type: "string", multiple: true, default: names },
    pace: { type: "string", default: "0" },
    short: { type: "boolean", default: false },
  },
});
const floodedSeconds = values.short ? 5.5 : Number(values.seconds);
const unknown = values.only.filter((name) => !names.includes(name));
const pace = Number(values.pace);
if (!(floodedSeconds > 0) || !Number.isSafeInteger(pace) || unknown.length > 0) {
  console.error(`--seconds N --pace N --short --only ${names.join("|")}`);
  process.exit(2);
}
const slices: Slices = { pace, floodedSeconds, idleSeconds: values.short ? 2.5 : floodedSeconds };
/** A flood's first moments are over a hundredth of a short slice. */
const mostRatio = values.short ? 10 : 2;
/** The baseline is the median of all idle slices, those of floods that were measured again among them: one alone is of few calls. */
const idleP99sMs: number[] = [];

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
  for (const name of values.only) {
    const each = await measure(name);
    if (each) measured.push(each);
    else broken += 1;
  }
  // What else runs on the machine makes a flood look slow, but not the same one twice.
  const slow = measured.filter((each) => isSlow(each, { idleP99Ms: medianOf(idleP99sMs), mostRatio }));
  for (const each of slow) {
    const again = await measure(each.name);
    if (again && again.flooded.p99Ms < each.flooded.p99Ms) measured[measured.indexOf(each)] = again;
  }
  return judge(measured, broken);
}

/** Undefined if the service or a program broke, so that nothing could be measured. */
async function measure(name: string): Promise<Measured | undefined> {
  try {
    const measured = await measureFlood(name, floods[name]!, slices);
    idleP99sMs.push(...measured.idle.map(({ p99Ms }) => p99Ms));
    console.log(JSON.stringify(measured));
    return measured;
  } catch (error) {
    console.log(`FAILED ${name}: ${error}`);
    return undefined;
  }
}

/** Prints a table of them, and what is wrong with each. */
function judge(measured: readonly Measured[], broken: number): number {
  const idleP99Ms = medianOf(idleP99sMs);
  console.log(`baseline: a p99 of ${idleP99Ms.toFixed(1)} ms beside an idle core`);
  console.table(Object.fromEntries(measured.map((each) => [each.name, rowOf(each, idleP99Ms)])));
  const all = measured.flatMap((each) =>
    judgementsOf(each, { idleP99Ms, mostRatio }).map((judged) => ({ name: each.name, ...judged })),
  );
  const failures = all.filter(({ problem }) => problem !== undefined);
  for (const { name, problem } of failures) console.log(`FAILED ${name}: ${problem}`);
  const failed = failures.length + broken;
  console.log(`${all.length - failures.length} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}
