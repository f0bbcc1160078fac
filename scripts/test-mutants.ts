/**
 * `npm run test:mutants`: bugs that are put into src/, one at a time, in a work tree of the last commit: those in mutants/by-hand/, and sixty
 * by a seed. The tests near a mutant run first, and the whole of `npm test` for what these let pass. It fails if a mutant by hand survives or
 * does not apply any more; of those by a seed some change nothing that anybody could notice. Prints `N caught, N survived`, and last
 * `N passed, N failed`.
 *
 *   --only NAME         those whose name has the word, also several
 *   --seed 7            another sixty; --seeded 10 makes as many
 *   --at COMMIT         src/ and test/ of that commit
 *   --processes         runs test:processes too, for mutants in what must be durable
 *   --near              runs no more than the tests near each
 *   --jobs 2            as many work trees beside each other
 *   --json FILE         writes the result; --compare A.json B.json names what A caught and B did not, and fails if there is any
 *   --short             two by hand and one by seed, by the tests near them
 */
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { applyPatch, readPatches } from "./mutants/by-hand.ts";
import { hunkOf, type Mutant } from "./mutants/change.ts";
import { judge, type Tiers, typeChecks } from "./mutants/judge.ts";
import { compare, type Judged, lineOfJudged, type Report, tableOf } from "./mutants/report.ts";
import { seededMutants } from "./mutants/seeded.ts";
import { makeTree, type Tree } from "./mutants/tree.ts";
import { command } from "./tools/command.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string", multiple: true },
    seed: { type: "string", default: "1" },
    seeded: { type: "string", default: "60" },
    at: { type: "string", default: "HEAD" },
    processes: { type: "boolean", default: false },
    jobs: { type: "string", default: "1" },
    json: { type: "string" },
    compare: { type: "string" },
    near: { type: "boolean", default: false },
    short: { type: "boolean", default: false },
  },
});
const [seed, seeded, jobs] = [values.seed, values.short ? "1" : values.seeded, values.jobs].map(Number) as [
  number,
  number,
  number,
];
/** Mutants of the short form, which a single fast test file each catches. */
const shortByHand = ["aad-without-field", "leaf-without-prefix"];
const repository = join(import.meta.dirname, "..");
const trees: Tree[] = [];
let failed = 0;

process.exitCode = values.compare === undefined ? await main() : Math.sign(compare(values.compare, positionals[0]!));

async function main(): Promise<number> {
  if (![seed, seeded, jobs].every(Number.isSafeInteger) || jobs < 1)
    throw new Error("--seed, --seeded, --jobs: numbers");
  process.on("SIGINT", () => process.exit(130)).on("SIGTERM", () => process.exit(143));
  process.on("exit", () => {
    for (const tree of trees) tree.remove();
  });
  const git = ["-c", "safe.directory=*", "rev-parse", "--verify", `${values.at}^{commit}`];
  const commit = command("git", git, { cwd: repository }).trim();
  for (let made = 0; made < jobs; made += 1) trees.push(makeTree(repository, commit));
  const mutants = [...byHand(trees[0]!), ...bySeed(trees[0]!)];
  console.log(`${commit}, seed ${seed}, ${mutants.length} mutants`);
  if (values.short) console.log("SHORT: all others, and all tests but the nearest, are left out");
  const judged: Judged[] = [];
  const left = mutants.values();
  await Promise.all(trees.map((tree) => judgeEach(tree, left, judged)));
  const report: Report = { commit, seed, mutants: judged };
  if (values.json) writeFileSync(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
  const survived = judged.filter(({ tier }) => tier === undefined);
  console.log(tableOf(judged));
  for (const { name, hunk } of survived) console.log(`survived: ${name}\n${hunk}`);
  console.log(`${judged.length - survived.length} caught, ${survived.length} survived`);
  failed += survived.filter(({ isByHand }) => isByHand).length;
  console.log(`${judged.length - survived.length} passed, ${failed} failed`);
  return Math.sign(failed);
}

function isWanted({ name }: { name: string }): boolean {
  return values.only === undefined || values.only.some((word) => name.includes(word));
}

function byHand(tree: Tree): Mutant[] {
  const patches = readPatches().filter(({ name }) => !values.short || shortByHand.includes(name));
  return patches.filter(isWanted).flatMap((patch) => {
    try {
      return [applyPatch(patch, tree.sources)];
    } catch (error) {
      failed += 1;
      console.log(`FAILED: ${(error as Error).message}`);
      return [];
    }
  });
}

/** Takes the first that type-check. All have to be known for that, whichever are wanted. */
function bySeed(tree: Tree): Mutant[] {
  const chosen: Mutant[] = [];
  for (const mutant of seededMutants(tree.sources, seed)) {
    if (chosen.length === seeded) break;
    if (typeChecks(tree, mutant)) chosen.push(mutant);
  }
  return chosen.filter(isWanted);
}

async function judgeEach(tree: Tree, left: Iterator<Mutant>, judged: Judged[]): Promise<void> {
  const tiers: Tiers = {
    nearOnly: values.near || values.short,
    processes: values.processes,
    maxWorkers: Math.ceil((availableParallelism() + 1) / jobs),
  };
  for (let next = left.next(); !next.done; next = left.next()) {
    const { name, isByHand, path } = next.value;
    try {
      const verdict = await judge(tree, next.value, tiers);
      const hunk = hunkOf(tree.sources.get(path)!, next.value);
      judged.push({ name, isByHand, hunk, ...verdict });
      console.log(lineOfJudged(judged.at(-1)!));
      if (!isByHand) console.log(hunk);
    } catch (error) {
      failed += 1;
      console.log(`FAILED: ${name}: ${(error as Error).message}`);
    }
  }
}
