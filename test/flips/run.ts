/**
 * `npm run soak:flips -- --positions 2000 --seed N`: single bits flipped over the whole database file, the log and its header of a store that
 * real calls filled: killed with a log, killed with a log that is in the database already, and stopped without one. Each is followed by a real
 * start, which may be refused if it says why. No tenant may get a new key in the place of one that it had; and when the service has examined its
 * store, each thing that is lost must be named by a finding, and the service not be operational. It starts in this process, which costs a tenth
 * of a process of its own, and several at a time, as a pass mostly rests; its store has threads of its own and is opened as ever.
 * `--short` flips a dozen.
 */
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Random, randomFrom } from "../crash/random.ts";
import { walHeaderBytes } from "../support/wal-files.ts";
import { fillStores, type FilledStore } from "./filled-stores.ts";
import { type Flip, judgeFlip } from "./one-flip.ts";

const shortPositions = 12;
const { values } = parseArgs({
  options: {
    positions: { type: "string", default: "2000" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    "at-once": { type: "string", default: "4" },
    short: { type: "boolean", default: false },
  },
});
const [positions, seed, atOnce] = [
  values.short ? shortPositions : values.positions,
  values.seed,
  values["at-once"],
].map(Number) as [number, number, number];
if (![positions, seed, atOnce].every(Number.isSafeInteger) || Math.min(positions, atOnce) < 1) {
  console.error("--positions N --seed S --at-once N --short");
  process.exit(2);
}

/** Past so many it is given up. */
const mostProblems = 20;

console.log(`seed ${seed}, ${positions} positions`);
using filled = await fillStores();
const { stores, known } = filled;
const root = mkdtempSync(join(tmpdir(), "fluo-kms-flip-"));
const outcomes = new Map<string, number>();
let [passed, failed] = [0, 0];
try {
  // Without a flip there is nothing to find, or else nothing that follows would say anything.
  for (const store of stores) {
    const { outcome, problems } = await judgeFlip({ store }, known, join(root, "kms"));
    if (outcome !== "nothing to find") throw new Error(`${store.left}: ${outcome}: ${problems.join("; ")}`);
    console.log(`${store.left}: ${store.database.length} bytes, and ${store.log.length} of the log`);
  }
  const all = flips(stores, randomFrom(seed));
  await Promise.all(Array.from({ length: atOnce }, (_, worker) => judgeEach(all, join(root, `kms-${worker}`))));
} finally {
  rmSync(root, { recursive: true, force: true });
}
for (const [name, count] of [...outcomes].sort()) console.log(`  ${name}: ${count}`);
if (failed > 0) console.error(`FAILED with seed ${seed}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** Takes from the flips that are left. */
async function judgeEach(left: Generator<Flip>, folder: string): Promise<void> {
  for (const flip of left) {
    const { outcome, problems } = await judgeFlip(flip, known, folder);
    const part = flip.end === "" ? "database" : flip.byte < walHeaderBytes ? "header of the log" : "log";
    const name = `${flip.store.left}: ${part}: ${outcome}`;
    outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
    if (problems.length === 0) passed += 1;
    else failed += 1;
    for (const each of problems) console.log(`bit ${flip.bit} of byte ${flip.byte} of ${name}: ${each}`);
    if ((passed + failed) % 100 === 0) console.log(`${passed + failed} positions, ${failed} failed`);
    if (failed >= mostProblems) return;
  }
}

function* flips(all: readonly FilledStore[], random: Random): Generator<Flip> {
  const withLog = all.filter(({ log }) => log.length > walHeaderBytes);
  for (let count = 0; count < positions; count += 1) {
    const where = random.weighted({ database: 9, log: 9, header: 2 });
    const store = random.pick(where === "database" ? all : withLog)!;
    const [from, to] = {
      database: [0, store.database.length],
      log: [walHeaderBytes, store.log.length],
      header: [0, walHeaderBytes],
    }[where] as [number, number];
    yield {
      store,
      end: where === "database" ? "" : "-wal",
      byte: from + random.below(to - from),
      bit: random.below(8),
    };
  }
}
