/**
 * `npm run soak:crash -- --kills 500 --store sqlite|postgres|database --seed N`: exit 1 on any problem. With `--at key.inserted`, which may
 * be repeated, it kills nowhere else.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { type StepName, stepNames } from "../../src/failpoints.ts";
import type { Target } from "./plan.ts";
import { progressLine, summaryLines } from "./print.ts";
import { crashRun } from "./run.ts";

const targets: readonly string[] = ["sqlite", "postgres", "database"];

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "500" },
    store: { type: "string", default: "sqlite" },
    at: { type: "string", multiple: true },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
  },
});
const [kills, seed] = [values.kills, values.seed].map(Number) as [number, number];
const only = values.at && stepNames.filter((name) => values.at?.includes(name));
if (
  !targets.includes(values.store) ||
  only?.length !== values.at?.length ||
  !Number.isSafeInteger(kills) ||
  !Number.isSafeInteger(seed)
) {
  console.error("--kills N --store sqlite|postgres|database --seed N --at STEP");
  process.exit(2);
}

console.log(`seed ${seed}, ${kills} kills, ${values.store}`);
let said = 0;
const summary = await crashRun({
  target: values.store as Target,
  kills,
  seed,
  only: only as StepName[] | undefined,
  report(sofar) {
    for (const problem of sofar.problems.slice(said)) console.log(problem);
    said = sofar.problems.length;
    if (sofar.kills % 10 === 0) console.log(progressLine(sofar));
  },
});
for (const line of summaryLines(summary)) console.log(line);
const unreached = kills >= 50 ? summary.missed.length : 0;
if (summary.problems.length > 0 || unreached > 0) {
  console.error(`FAILED with seed ${seed}`);
  process.exitCode = 1;
}
