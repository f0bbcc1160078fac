/**
 * The gate, after `npm ci`: runs the suites of `.ci/suites.yaml` that a change selects, three beside each other unless one uses all cores.
 * What fails runs again three times. It is red if it fails once more; otherwise it is a line `FLAKY name seed load`, which is red too if the
 * change has the test or what it covers. The last line is `N passed, N failed`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { judge, loadNow, type Verdict } from "./gate/again.ts";
import { changedSince, findBase } from "./gate/change.ts";
import { isInChange } from "./gate/covered.ts";
import { type Outcome, run } from "./gate/run.ts";
import { readSuites, type Selected, select } from "./gate/suites.ts";
import { runInTurn } from "./tools/in-turn.ts";

interface Done extends Selected {
  outcome: Outcome;
  load: string;
}

const root = join(import.meta.dirname, "..");
const work = mkdtempSync(join(tmpdir(), "fluo-kms-gate-"));
const slowest = 20;

/** Suites beside each other, on two cores: half of the time a suite waits for what it started. */
const atOnce = 3;

try {
  process.exitCode = await main();
} catch (error) {
  console.log(`FAILED: ${(error as Error).message}\n0 passed, 1 failed`);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function main(): Promise<number> {
  const base = findBase(root, process.env.FLUO_CI_BASE, new Date());
  const changed = base && changedSince(root, base);
  const { selected, left } = select(readSuites(join(root, ".ci", "suites.yaml")), changed);
  console.log(
    base ? `base: ${base.commit}, ${base.how}; ${changed!.length} paths differ` : "base: none, so all suites run",
  );
  for (const { suite, command, why } of selected) console.log(`runs      ${suite.name}: ${command} (${why})`);
  for (const { name, run: command } of left) console.log(`left out  ${name}: ${command} (no input has changed)`);
  const dirtyBefore = changedSince(root, { commit: "HEAD" });
  const installed = install(selected);
  const tasks = selected.map((each) => ({
    alone: each.suite.alone,
    ready: installed.get(each),
    run: () => runOne(each),
  }));
  const done = await runInTurn(tasks, atOnce);
  const verdicts: Verdict[] = [];
  for (const each of done.filter(({ outcome }) => outcome.failed > 0)) {
    console.log(`--- again: ${each.suite.name}`);
    verdicts.push(...(await judge(each, each.outcome, each.load, { root, work })));
  }
  printSlowest(done);
  const red = verdicts.filter((verdict) => isRed(verdict, changed));
  for (const { name, why, failedAgain } of red) {
    const when =
      failedAgain.length > 0 ? `failed again ${failedAgain.join(", ")}` : "the change has it, or what it covers";
    console.log(`FAILED: ${name}: ${when}\n${why}`);
  }
  const flaky = verdicts.filter(({ failedAgain }) => failedAgain.length === 0);
  for (const { name, why } of flaky.filter((verdict) => !red.includes(verdict)))
    console.log(`failed once: ${name}\n${why}`);
  for (const { name, seed, load } of flaky) console.log(`FLAKY ${name} seed ${seed ?? "none"} load ${load}`);
  const dirty = changedSince(root, { commit: "HEAD" }).filter((path) => !dirtyBefore.includes(path));
  if (dirty.length > 0) console.log(`FAILED: what ran changed the checkout: ${dirty.join(", ")}`);
  const passed = done.reduce((sum, { outcome }) => sum + outcome.passed, 0);
  const failed = red.length + Math.sign(dirty.length);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

/** True for a bug, and for an accident of what the change has. Of a command without a test's file its inputs tell what that is. */
function isRed({ failedAgain, file, isSelectedByChange }: Verdict, changed: readonly string[] | undefined): boolean {
  if (failedAgain.length > 0) return true;
  if (file === undefined) return isSelectedByChange;
  return changed !== undefined && isInChange(root, file, changed);
}

/**
 * Begins to install what the suites need, one after the other, and returns the end of each installation. The first suites run meanwhile, as
 * downloads are waited for. If an installation failed, its suite tries again, and tells what is missing.
 */
function install(selected: readonly Selected[]): Map<Selected, Promise<void>> {
  const installed = new Map<Selected, Promise<void>>();
  let before = Promise.resolve();
  for (const each of selected.filter(({ suite }) => suite.installs)) {
    before = before.then(() => installOne(each));
    installed.set(each, before);
  }
  return installed;
}

async function installOne({ suite }: Selected): Promise<void> {
  const option = suite.run.includes(" -- ") ? "--install" : "-- --install";
  const { seconds, failed } = await run(`${suite.run} ${option}`, root, join(work, `${suite.name}-install`));
  if (failed > 0 || seconds > 10)
    console.log(`installed for ${suite.name}: ${Math.round(seconds)} s${failed > 0 ? ", FAILED" : ""}`);
}

async function runOne(selected: Selected): Promise<Done> {
  const { suite, command } = selected;
  const outcome = await run(command, root, join(work, suite.name.replaceAll(" ", "-")));
  const { passed, failed, seconds, cpuSeconds, said } = outcome;
  // All that a suite says is of use only if something failed. One that could not run says so in any case.
  const notable =
    failed > 0
      ? said
      : said
          .split("\n")
          .filter((line) => /NOT RUN|SKIPPED/.test(line))
          .join("\n");
  const times = `${seconds.toFixed(0)} s, ${cpuSeconds.toFixed(0)} s of CPU`;
  console.log(
    `--- ${suite.name}: ${command}\n${notable ? `${notable.trimEnd()}\n` : ""}${passed} right, ${failed} wrong, ${times}`,
  );
  return { ...selected, outcome, load: loadNow() };
}

function printSlowest(done: readonly Done[]): void {
  const files = done.flatMap(({ outcome }) => outcome.runs.flatMap((each) => each.files));
  files.sort((a, b) => b.ms - a.ms);
  console.log(`--- the ${slowest} slowest files: seconds, seconds of CPU`);
  for (const { file, ms, cpuMs } of files.slice(0, slowest)) {
    console.log(`${(ms / 1_000).toFixed(1)}  ${((cpuMs ?? 0) / 1_000).toFixed(1)}  ${file.replace(`${root}/`, "")}`);
  }
}
