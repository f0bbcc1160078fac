/**
 * The races or the load for longer than in `npm run test:durable`: `npm run soak:race -- --trials 500`, `npm run soak:load -- --seconds 60`.
 * What each prints is in the output of its tests.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";

const runs = {
  race: { option: "trials", standard: 500, variable: "RACE_TRIALS" },
  load: { option: "seconds", standard: 60, variable: "LOAD_SECONDS" },
} as const;

const [name, ...args] = process.argv.slice(2);
if (name !== "race" && name !== "load") throw new Error("say race or load");
const { option, standard, variable } = runs[name];
const { values } = parseArgs({ args, options: { [option]: { type: "string", default: String(standard) } } });
const amount = Number(values[option]);
if (!Number.isInteger(amount) || amount < 1) throw new Error(`--${option} is a whole number from 1 on`);

const vitest = join(import.meta.dirname, "..", "..", "node_modules", "vitest", "vitest.mjs");
const { status } = spawnSync(
  process.execPath,
  [vitest, "run", "--config", join(import.meta.dirname, "vitest.config.ts"), `test/durable/${name}`],
  { stdio: "inherit", env: { ...process.env, [variable]: String(amount) } },
);
process.exitCode = status ?? 1;
