/**
 * `npm run soak:states -- --states 2000 --seed N`: states of a SQLite store's log, its header, its heads files and its
 * database: cut, zeroed, flipped, doubled, older, another store's, gone, or no files at all. Services were killed on
 * the stores under real calls: one store was never checkpointed, one was, and one is of the first release. On each
 * state the service is started in this process. A start may be refused if it says what to do and changes no byte. A
 * service that serves must have everything, unless nothing that is left in the files tells of the loss (excuse.ts).
 *
 * `--only K` runs the state with that number alone, on new stores, so a byte may lie elsewhere. `--keep FOLDER` writes
 * the files of each state that fails into a folder of its own. `--short` runs 40 states.
 */
import { randomInt } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeFolder } from "./files.ts";
import { allThere, judgeState } from "./judge.ts";
import { makeStores } from "./made-stores.ts";
import { drawState, wholeState } from "./state.ts";
import { startWatch } from "./watch.ts";

const shortStates = 40;
const { values } = parseArgs({
  options: {
    states: { type: "string", default: "2000" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    "at-once": { type: "string", default: "4" },
    only: { type: "string" },
    keep: { type: "string" },
    short: { type: "boolean", default: false },
  },
});
const [states, seed, atOnce, only] = [
  values.short ? shortStates : values.states,
  values.seed,
  values["at-once"],
  values.only ?? 0,
].map(Number) as [number, number, number, number];
if (![states, seed, atOnce, only].every(Number.isSafeInteger) || Math.min(states, atOnce) < 1) {
  console.error("--states N --seed S --at-once N --only K --keep FOLDER --short");
  process.exit(2);
}

process.setMaxListeners(0); // each service that makes a store has some
console.log(`seed ${seed}, ${values.only === undefined ? `${states} states` : `state ${only} alone`}`);
if (values.keep !== undefined) mkdirSync(values.keep, { recursive: true });
using made = await makeStores();
const { stores, skipped } = made;
if (skipped !== undefined) console.log(`SKIPPED states of the first release: ${skipped}`);
const root = mkdtempSync(join(tmpdir(), "fluo-kms-state-"));
const watch = startWatch();
const outcomes = new Map<string, number>();
let [passed, failed] = [0, 0];
try {
  // If something is lost without a change, nothing that follows says anything.
  for (const store of stores) {
    const { outcome, problems } = await watch.watched(store.name, () =>
      judgeState(wholeState(store), join(root, "whole")),
    );
    if (outcome !== allThere) throw new Error(`${store.name}: ${outcome}: ${problems.join("; ")}`);
    const sizes = [...store.ages.at(-1)!].map(([name, content]) => `${name} ${content.length}`);
    console.log(`${store.name}: ${sizes.join(", ")} bytes`);
  }
  const left = numbers();
  await Promise.all(Array.from({ length: atOnce }, (_, worker) => judgeEach(left, join(root, `kms-${worker}`))));
} finally {
  await watch.close();
  rmSync(root, { recursive: true, force: true });
}
for (const [name, count] of [...outcomes].sort()) console.log(`  ${name}: ${count}`);
if (failed > 0) console.error(`FAILED with seed ${seed}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** Takes from the numbers that are left. */
async function judgeEach(left: Generator<number>, folder: string): Promise<void> {
  for (const number of left) {
    const state = drawState(stores, seed, number);
    const words = `state ${number} of seed ${seed}, ${state.store.name}: ${state.changes.join("; ")}`;
    const { outcome, problems } = await watch.watched(words, () => judgeState(state, folder));
    const name = `${state.store.name}: ${outcome}`;
    outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
    if (problems.length === 0) passed += 1;
    else failed += 1;
    if (problems.length > 0) console.log(`FAILED ${words}`);
    for (const each of problems) console.log(`  ${each}`);
    if (problems.length > 0 && values.keep !== undefined) writeFolder(state.files, join(values.keep, `${number}`));
    if (values.only !== undefined) console.log(`${words}: ${outcome}`);
    if ((passed + failed) % 100 === 0) console.log(`${passed + failed} states, ${failed} failed`);
  }
}

function* numbers(): Generator<number> {
  if (values.only !== undefined) yield only;
  else for (let number = 0; number < states; number += 1) yield number;
}
