/**
 * `npm run test:clients`: each client built as its users get it, its own tests, and the specs of clients/conformance, in which all check
 * what all produce. What a language needs is installed first; a language that cannot be had is not run, and if that is a failure, nothing is.
 * Words choose languages and specs; `-- --install` installs and runs nothing, `--cases` and `--seed` are those of judge. `-- --short` runs the
 * clients' own tests, and of the specs that no word names those in `inShort`. Prints a table of figures; the last line is `N passed, N failed`. A run in which nothing passed has failed.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { basename, delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { type Figures, type Language, languages, root } from "../clients/conformance/programs.ts";
import { isShortRun, takeShort } from "../test/support/short-option.ts";
import { clientBuilds } from "./tools/client-builds.ts";
import { usePackageCaches } from "./tools/cache.ts";
import { type Counts, ownTests, runOwnTest } from "./tools/client-tests.ts";
import { runInTurn } from "./tools/in-turn.ts";
import { isRequired, notRun } from "./tools/not-run.ts";

/** Specs of what Ruby and Rust have not. */
const ofWhole: ReadonlySet<string> = new Set([
  "export",
  "fake",
  "flush",
  "identities",
  "judge",
  "resume",
  "streams",
  "verify-command",
]);

/** Specs of the short form. */
const inShort = ["checkout", "fake", "flush", "judge", "scenarios", "streams"];

const options = {
  install: { type: "boolean" },
  cases: { type: "string" },
  seed: { type: "string" },
} as const;

// Rustup puts Rust here, where only login shells look.
process.env.PATH += delimiter + join(homedir(), ".cargo", "bin");

process.exitCode = await main();

async function main(): Promise<number> {
  usePackageCaches();
  const { values, positionals } = parseArgs({
    args: takeShort(process.argv.slice(2)),
    options,
    allowPositionals: true,
  });
  const known = languages.filter(({ name }) => positionals.includes(name));
  const wanted = known.length > 0 ? known : languages;
  const words = positionals.filter((word) => known.every(({ name }) => name !== word));
  const specs = globSync("clients/conformance/*.spec.ts", { cwd: root }).map((file) => basename(file, ".spec.ts"));
  const unknown = words.find((word) => word !== "own" && !specs.some((spec) => spec.includes(word)));
  if (unknown !== undefined) {
    process.stderr.write(`FAILED: ${unknown} is no language, no spec (${specs.sort().join(", ")}) and not own\n`);
    return summary({ passed: 0, failed: 1 });
  }
  const { ready, missing } = await build(wanted);
  if (values.install) return missing.length === 0 ? 0 : 1;
  if (missing.length > 0 && isRequired()) return summary({ passed: 0, failed: missing.length });
  const chosen = specs
    .filter((spec) => words.length === 0 || words.some((word) => spec.includes(word)))
    .filter((spec) => words.length > 0 || !isShortRun() || inShort.includes(spec))
    .filter((spec) => ready.some(({ isWhole }) => isWhole) || !ofWhole.has(spec))
    .sort();
  if (isShortRun())
    process.stdout.write(`SHORT: ${specs.length - chosen.length} of ${specs.length} specs are left out\n`);
  const own = words.length === 0 || words.includes("own") ? await testThemselves(ready) : { passed: 0, failed: 0 };
  const together = chosen.length === 0 ? { passed: 0, failed: 0 } : await runSpecs(chosen, ready, values);
  return summary({ passed: own.passed + together.passed, failed: own.failed + together.failed });
}

async function build(wanted: readonly Language[]): Promise<{ ready: Language[]; missing: Language[] }> {
  const [ready, missing]: [Language[], Language[]] = [[], []];
  for (const language of wanted) {
    const start = performance.now();
    try {
      await clientBuilds[language.name]();
      ready.push(language);
      process.stdout.write(`${language.title}: built in ${seconds(start)}\n`);
    } catch (error) {
      missing.push(language);
      notRun(`clients/${language.name}`, (error as Error).message);
    }
  }
  return { ready, missing };
}

/** The tests that each client brings along: those of two languages beside each other, those of one in turn. */
async function testThemselves(ready: readonly Language[]): Promise<Counts> {
  const counts = await runInTurn(
    ready.map((language) => ({ run: () => testItself(language) })),
    2,
  );
  return {
    passed: counts.reduce((sum, { passed }) => sum + passed, 0),
    failed: counts.reduce((sum, { failed }) => sum + failed, 0),
  };
}

async function testItself({ name, title }: Language): Promise<Counts> {
  const sum = { passed: 0, failed: 0 };
  for (const test of ownTests[name]()) {
    const start = performance.now();
    const { passed, failed, skipped, said } = await runOwnTest(test);
    const left = skipped === 0 ? "" : `, ${skipped} SKIPPED`;
    sum.passed += passed;
    sum.failed += failed;
    process.stdout.write(`${title}: ${test.name}: ${passed} right, ${failed} wrong${left}, ${seconds(start)}\n`);
    if (failed > 0) process.stdout.write(`FAILED: ${title}: ${test.name}\n${said.slice(-8_000)}\n`);
  }
  return sum;
}

async function runSpecs(
  specs: readonly string[],
  ready: readonly Language[],
  { cases, seed }: { cases?: string | undefined; seed?: string | undefined },
): Promise<Counts> {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-figures-"));
  const figures = join(folder, "figures.jsonl");
  const env = {
    ...process.env,
    CONFORMANCE_LANGUAGES: ready.map(({ name }) => name).join(","),
    CONFORMANCE_FIGURES: figures,
    ...(cases !== undefined && { CONFORMANCE_CASES: cases }),
    ...(seed !== undefined && { CONFORMANCE_SEED: seed }),
  };
  const config = join("clients", "conformance", "vitest.config.ts");
  const files = specs.map((spec) => `clients/conformance/${spec}.spec.ts`);
  const child = spawn("vitest", ["run", "--config", config, ...files], {
    cwd: root,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const counts = { passed: 0, failed: 0 };
  const reader = createInterface({ input: child.stdout });
  reader.on("line", (line) => {
    const [, passed, failed] = /^(\d+) passed, (\d+) failed/.exec(line) ?? [];
    if (passed === undefined) process.stdout.write(`${line}\n`);
    else Object.assign(counts, { passed: Number(passed), failed: Number(failed) });
  });
  const [[code]] = await Promise.all([once(child, "close"), once(reader, "close")]);
  // A run without tests has not been one.
  if (code !== 0 || counts.passed === 0) counts.failed = Math.max(counts.failed, 1);
  printTable(existsSync(figures) ? readFileSync(figures, "utf8") : "");
  rmSync(folder, { recursive: true });
  return counts;
}

/** Checks of each program, by command: those of all its runs together. */
function printTable(lines: string): void {
  const all = lines
    .split("\n")
    .filter(Boolean)
    .map((line): Figures => JSON.parse(line));
  const commands = [...new Set(all.map(({ command }) => command))].sort();
  const rows = languages
    .filter(({ name }) => all.some(({ language }) => language === name))
    .map(({ name, title }) => [
      title,
      ...commands.map((command) => cell(all.filter((each) => each.language === name && each.command === command))),
    ]);
  const table = [["checks", ...commands], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  for (const row of table)
    process.stdout.write(
      `${row
        .map((each, i) => each.padEnd(widths[i]!))
        .join("  ")
        .trimEnd()}\n`,
    );
}

function cell(all: readonly Figures[]): string {
  if (all.length === 0) return "-";
  const [passed, failed] = [total(all, "passed"), total(all, "failed")];
  return failed === 0 ? `${passed}` : `${passed}, ${failed} FAILED`;
}

function total(all: readonly Figures[], name: "passed" | "failed"): number {
  return all.reduce((sum, figures) => sum + figures[name], 0);
}

function seconds(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

function summary({ passed, failed: wrong }: Counts): number {
  const failed = passed === 0 ? Math.max(wrong, 1) : wrong;
  if (failed > wrong) process.stderr.write("FAILED: nothing was run\n");
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}
