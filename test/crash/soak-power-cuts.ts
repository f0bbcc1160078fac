/**
 * `npm run soak:power-cuts -- --cuts 200 --seed N`: the machine of a service on SQLite loses its power under load, as it starts and at named
 * steps. What was not synced is lost, torn at 512 bytes, in any order. Then the service must start, and all that was acknowledged be there.
 * `--short` cuts it four times.
 */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";
import { whyNotPreloaded } from "../support/preloaded-library.ts";
import { progressLine, summaryLines } from "./print.ts";
import { stepsOf } from "./plan.ts";
import { crashRun } from "./run.ts";

const shortCuts = 4;
const { values } = parseArgs({
  options: {
    cuts: { type: "string", default: "200" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    short: { type: "boolean", default: false },
  },
});
const [cuts, seed] = [values.short ? shortCuts : values.cuts, values.seed].map(Number) as [number, number];
if (![cuts, seed].every(Number.isSafeInteger) || cuts < 1) {
  console.error("--cuts N --seed S --short");
  process.exit(2);
}

const why = whyNotPreloaded();
if (why !== undefined) {
  console.error(`SKIPPED: power cuts cannot be simulated here: ${why}`);
  console.log(process.env.CI === undefined ? "0 passed, 0 failed, 1 skipped" : "0 passed, 1 failed");
  process.exit(process.env.CI === undefined ? 0 : 1);
}

console.log(`seed ${seed}, ${cuts} power cuts`);
let said = 0;
const summary = await crashRun({
  target: "sqlite",
  kills: cuts,
  seed,
  cutsPower: true,
  first: stepsOf("sqlite").filter((name) => /^(sqlite|store-key\.(wrapped|stored))/.test(name)),
  report(sofar) {
    for (const problem of sofar.problems.slice(said)) console.log(problem);
    said = sofar.problems.length;
    if (sofar.kills % 10 === 0) console.log(progressLine(sofar));
  },
});
for (const line of summaryLines(summary)) console.log(line);
const { kills, problems } = summary;
if (problems.length > 0) console.error(`FAILED with seed ${seed}`);
console.log(`${Math.max(0, kills - problems.length)} passed, ${problems.length} failed`);
process.exitCode = problems.length > 0 ? 1 : 0;
