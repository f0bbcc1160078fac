/** Judges a mutant: the tests near it first, then the whole first tier, then the second if that may know more. */
import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { join, relative } from "node:path";
import { type Outcome, run } from "../gate/run.ts";
import type { Mutant } from "./change.ts";
import { nearestTests } from "./near.ts";
import type { Tree } from "./tree.ts";

export interface Verdict {
  /** Tier that caught it; undefined if it survived. */
  tier: string | undefined;
  /** First test that failed. */
  test: string;
  seconds: number;
}

export interface Tiers {
  /** True if only the tests near it run. */
  nearOnly: boolean;
  /** True if the second tier runs for what the first lets pass. */
  processes: boolean;
  maxWorkers: number;
}

/** Parts whose order of writes a kill shows, for the second tier. */
const durable = /^src\/(audit|backup|integrity|keys|store|tenant-log|upgrade|failpoints|server|shutdown)\b/;

/** Test files of the first stage. */
const nearFiles = 16;

/** Limits of a run in seconds, many times what one takes: beyond them it hangs. A single test has the first one, in milliseconds. */
const hungTestMs = 120_000;
const hungNear = 300;
const hungTier = 2_400;

const secondTier = ["--config=test/processes/vitest.config.ts"];

/** Files that pass without a mutant, and those that fail without one too, and so are left out. */
const clean = new Set<string>();
const broken = new Set<string>();

/** True if src/ type-checks with the mutant. */
export function typeChecks(tree: Tree, mutant: Mutant): boolean {
  tree.mutate(mutant);
  const check = ["-p", "tsconfig.build.json", "--noEmit"];
  const { status } = spawnSync("tsc", check, { cwd: tree.root, stdio: "ignore" });
  tree.restore();
  return status === 0;
}

/** Puts the mutant into the tree, judges it, and takes it out. Throws if it does not type-check, as no test has caught it then. */
export async function judge(tree: Tree, mutant: Mutant, tiers: Tiers): Promise<Verdict> {
  if (mutant.isByHand && !typeChecks(tree, mutant)) throw new Error("it does not type-check");
  const tests = nearestTests(tree.root, mutant.path);
  const tierNames = ["near"];
  if (!tiers.nearOnly) tierNames.push("npm test");
  if (tiers.processes && durable.test(mutant.path)) tierNames.push("test:processes");
  let seconds = 0;
  for (const tier of tierNames) {
    for (;;) {
      tree.mutate(mutant);
      const outcome = await runTier(tree, tier, tests, tiers.maxWorkers);
      tree.restore();
      seconds += outcome.seconds;
      if (outcome.failed === 0) break;
      const { file, test } = firstFailure(tree, outcome);
      if (file === undefined || (await passesClean(tree, file))) return { tier, test, seconds };
    }
  }
  return { tier: undefined, test: "", seconds };
}

function runTier(tree: Tree, tier: string, tests: readonly string[], maxWorkers: number): Promise<Outcome> {
  const options = ["--bail=1", `--maxWorkers=${maxWorkers}`];
  if (tier === "test:processes") {
    const left = [...broken].map((file) => `--exclude=${file}`);
    return vitest(tree, [...secondTier, ...options, ...left], hungTier);
  }
  const good = tests.filter((test) => !broken.has(test));
  const files = tier === "near" ? good.slice(0, nearFiles) : good;
  const order = files.map((file) => join(tree.root, file)).join(" ");
  return vitest(tree, [...options, ...files], tier === "near" ? hungNear : hungTier, order);
}

function vitest({ root }: Tree, words: readonly string[], limit: number, order?: string): Promise<Outcome> {
  const options = [`--testTimeout=${hungTestMs}`, `--hookTimeout=${hungTestMs}`, ...words];
  const command = `timeout --kill-after=10 ${limit} node_modules/.bin/vitest run ${options.join(" ")}`;
  const results = mkdtempSync(join(root, "node_modules", "results-"));
  return run(command, root, results, { TEST_ORDER: order, CI: undefined });
}

/** Throws if Vitest failed and says not in which test, unless it hung. */
function firstFailure(tree: Tree, { runs, said, seconds }: Outcome): { file?: string; test: string } {
  const [failed] = runs.flatMap(({ files }) => files.filter((each) => each.failed.length > 0));
  if (failed !== undefined) {
    const file = relative(tree.root, failed.file);
    return { file, test: `${file} > ${failed.failed[0]!.name}` };
  }
  const [error] = runs.flatMap(({ errors }) => errors);
  if (error !== undefined) return { test: `outside of a test: ${error.split("\n")[0]}` };
  if (seconds >= hungNear) return { test: `hung for ${Math.round(seconds)} s` };
  throw new Error(`Vitest failed without a test: ${said.slice(-2_000)}`);
}

async function passesClean(tree: Tree, file: string): Promise<boolean> {
  if (clean.has(file)) return true;
  if (broken.has(file)) throw new Error(`${file} fails without a mutant, and ran although it is left out`);
  const config = file.endsWith(".process.test.ts") ? secondTier : [];
  const { failed } = await vitest(tree, [...config, file], hungNear);
  (failed === 0 ? clean : broken).add(file);
  if (failed > 0) console.log(`left out, as it fails without a mutant: ${file}`);
  return failed === 0;
}
