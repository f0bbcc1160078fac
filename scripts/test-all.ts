/**
 * `npm run test:all`: everything, whole, one suite after the other, as rates need the machine alone. Takes hours. Prints a line a suite
 * with its seconds, and keeps the output of each in a folder whose path is printed. A suite in which nothing passed has failed, and so has
 * one that left something out for want of a tool. `-- NAME…` runs those whose name has one of the words, `-- --list` lists all. The last
 * line is `N passed, N failed`.
 */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Counts {
  passed: number;
  failed: number;
}

const root = join(import.meta.dirname, "..");
const npm = (script: string, ...options: string[]) => ["npm", "run", "--silent", script, "--", ...options];

/** What only succeeds or fails, and prints no counts. */
const checks: Readonly<Record<string, readonly string[]>> = {
  format: npm("format:check"),
  lint: npm("lint"),
  types: npm("types"),
  "generated code": npm("gen:check"),
};

/** By their names, in the order in which they run: the first tier, the second, and what takes long or needs other people's tools. */
const suites: Readonly<Record<string, readonly string[]>> = {
  test: npm("test"),
  alone: ["vitest", "run", "--config", join("test", "alone", "vitest.config.ts")],
  processes: npm("test:processes"),
  "grpc-tools": npm("test:grpc-tools"),
  durable: npm("test:durable"),
  versions: npm("test:versions"),
  nodes: npm("test:nodes"),
  package: npm("test:package"),
  bulk: npm("test:bulk"),
  rollout: npm("test:rollout"),
  callers: npm("test:callers"),
  page: npm("test:page"),
  clients: npm("test:clients"),
  "client-versions": npm("test:client-versions"),
  monitoring: npm("test:monitoring"),
  image: npm("test:image"),
  unit: npm("test:unit"),
  interop: npm("test:interop"),
  providers: npm("test:providers"),
  chart: npm("test:chart"),
  terraform: npm("test:terraform"),
  docs: npm("test:docs"),
  kubernetes: npm("test:kubernetes"),
  crash: npm("soak:crash"),
  "power-cuts": npm("soak:power-cuts", "--cuts", "20"),
  flips: npm("soak:flips", "--positions", "200"),
  states: npm("soak:states", "--states", "200"),
  fuzz: npm("soak:fuzz", "--requests", "20000"),
  "fuzz-auth": npm("soak:fuzz-auth", "--inputs", "50000"),
  race: npm("soak:race"),
  load: npm("soak:load"),
  streams: npm("soak:streams"),
  floods: npm("soak:floods"),
  mutants: npm("test:mutants", "--processes"),
};

const all = { ...checks, ...suites };
const words = process.argv.slice(2);

process.exitCode = main();

function main(): number {
  if (words.includes("--list")) {
    for (const [name, command] of Object.entries(all)) console.log(`${name}: ${command.join(" ")}`);
    return 0;
  }
  const chosen = Object.keys(all).filter((name) => words.length === 0 || words.some((word) => name.includes(word)));
  const unknown = words.filter((word) => !Object.keys(all).some((name) => name.includes(word)));
  if (unknown.length > 0) {
    console.error(`FAILED: none is called ${unknown.join(", ")}; there are ${Object.keys(all).join(", ")}`);
    return summary({ passed: 0, failed: unknown.length });
  }
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-all-"));
  console.log(`output: ${folder}`);
  const sum = { passed: 0, failed: 0 };
  for (const name of chosen) {
    const { passed, failed } = run(name, join(folder, `${name.replace(" ", "-")}.log`));
    sum.passed += passed;
    sum.failed += failed;
  }
  return summary(sum);
}

function run(name: string, log: string): Counts {
  const [command, ...args] = all[name]!;
  const out = openSync(log, "w");
  const start = performance.now();
  const env = { ...process.env, CI: "true", TEST_ALL: "1", TEST_SHORT: undefined };
  const { status } = spawnSync(command!, args, { cwd: root, env, stdio: ["ignore", out, out] });
  closeSync(out);
  const seconds = Math.round((performance.now() - start) / 1_000);
  const said = readFileSync(log, "utf8");
  const counts = Object.hasOwn(checks, name) ? countsOfCheck(status) : countsOf(said, status);
  console.log(`${name}: ${counts.passed} passed, ${counts.failed} failed, ${seconds} s`);
  for (const line of missingIn(said)) console.log(`  ${line}`);
  if (counts.failed > 0) console.log(`  FAILED (exit ${status}): ${log}`);
  return counts;
}

function countsOfCheck(status: number | null): Counts {
  return status === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

/** Reads the last line of counts. What was left out for want of a tool counts as failed. */
function countsOf(said: string, status: number | null): Counts {
  const [, passed, failed] = [...said.matchAll(/^(\d+) passed, (\d+) failed/gm)].at(-1) ?? [];
  const counts = { passed: Number(passed ?? 0), failed: Number(failed ?? 0) };
  const isBad = status !== 0 || counts.passed === 0 || missingIn(said).length > 0;
  return isBad ? { ...counts, failed: Math.max(1, counts.failed) } : counts;
}

function missingIn(said: string): readonly string[] {
  return said.match(/^(?:FAILED: )?(?:NOT RUN|SKIPPED).*$/gm) ?? [];
}

function summary({ passed, failed }: Counts): number {
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}
