/**
 * `npm run soak:floods -- --seconds 14`: the service as a process of its own under one flood after the other, from one address, while a
 * client calls it 100 times a second from another. A flood may neither fail a call, nor double the time of the slowest hundredth beside
 * an idle core, nor take 64 MiB, nor leave something broken. Each flood has a service of its own. `--only NAME` takes one, and may be
 * given several times; `--short` is the form for continuous integration. Without Go it is skipped, and a failure if CI=true.
 */
import { parseArgs } from "node:util";
import { floods } from "./all.ts";
import { judgementsOf, type Measured, measureFlood, medianOf, rowOf, type Slices } from "./measure.ts";
import { buildProgram } from "./program.ts";

const names = Object.keys(floods);
const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "14" },
    only: { type: "string", multiple: true, default: names },
    short: { type: "boolean", default: false },
  },
});
const floodedSeconds = values.short ? 5.5 : Number(values.seconds);
const unknown = values.only.filter((name) => !names.includes(name));
if (!(floodedSeconds > 0) || unknown.length > 0) {
  console.error(`--seconds N --short --only ${names.join("|")}`);
  process.exit(2);
}
const slices: Slices = { floodedSeconds, idleSeconds: values.short ? 3 : floodedSeconds };

process.exitCode = await main();

async function main(): Promise<number> {
  try {
    buildProgram();
  } catch (error) {
    const isCi = process.env.CI === "true";
    console.error(`${isCi ? "FAILED" : "SKIPPED: all floods"}: there is no way to have Go here: ${error}`);
    console.log(`0 passed, ${isCi ? 1 : 0} failed`);
    return isCi ? 1 : 0;
  }
  const measured: Measured[] = [];
  for (const name of values.only) {
    const each = await measureFlood(name, floods[name]!, slices);
    measured.push(each);
    console.log(JSON.stringify(each));
  }
  return judge(measured);
}

/** Prints a table of them, and what is wrong with each. The baseline is of all idle slices, as one alone is of few calls. */
function judge(measured: readonly Measured[]): number {
  const idleP99Ms = medianOf(measured.flatMap(({ idle }) => idle.map(({ p99Ms }) => p99Ms)));
  console.table(Object.fromEntries(measured.map((each) => [each.name, rowOf(each, idleP99Ms)])));
  const all = measured.flatMap((each) =>
    judgementsOf(each, idleP99Ms).map((judged) => ({ name: each.name, ...judged })),
  );
  const failures = all.filter(({ problem }) => problem !== undefined);
  for (const { name, problem } of failures) console.log(`FAILED ${name}: ${problem}`);
  console.log(`${all.length - failures.length} passed, ${failures.length} failed`);
  return failures.length === 0 ? 0 : 1;
}
