/** The tests that each client brings along, and its linters and type checkers: how each is run, and how many of its tests passed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import type { LanguageName } from "../../clients/conformance/programs.ts";
import { isShortRun } from "../../test/support/short-option.ts";
import { goBin, pythonBin, pythonLowestBin, pythonPackagesBin, pyright, root, rustTarget } from "./client-builds.ts";
import { isThere } from "./command.ts";

export interface Counts {
  passed: number;
  failed: number;
  /** Tests that a client leaves out where it does not find what they need. */
  skipped?: number;
}

export interface OwnTest {
  name: string;
  command: readonly [string, ...string[]];
  cwd: string;
  env?: Readonly<Record<string, string>>;
  /** Counts the tests in what it printed. Without it the command itself is the one test. */
  count?: (out: string) => Counts;
}

const clients = join(root, "clients");

/** Those that can be run here: a client may have no linter among what it requires. */
export const ownTests: Readonly<Record<LanguageName, () => OwnTest[]>> = {
  go: () =>
    globSync(["clients/go/**/go.mod", "examples/go/go.mod"], { cwd: root }).flatMap((module) => {
      const cwd = join(root, dirname(module));
      return [
        { name: `go vet in ${dirname(module)}`, command: ["go", "vet", "./..."], cwd },
        // All checks but that for package comments, which generated code has none of.
        {
          name: `staticcheck in ${dirname(module)}`,
          command: [join(goBin, "staticcheck"), "-checks", "all,-ST1000", "./..."],
          cwd,
        },
        // Go knows nothing of the service that its tests start: a result in its cache would outlive a change of it.
        {
          name: `go test in ${dirname(module)}`,
          command: ["go", "test", "-count=1", "-json", "./..."],
          cwd,
          count: ofGo,
        },
      ] satisfies OwnTest[];
    }),

  python() {
    const cwd = join(clients, "python");
    const python = join(pythonBin, "python");
    const all: OwnTest[] = [
      {
        name: "pytest",
        command: [python, "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider"],
        cwd,
        count: ofPytest,
      },
      { name: "mypy --strict", command: [python, "-m", "mypy", "--strict", "src"], cwd },
      // Of the wheel, as its users check their programs.
      { name: "mypy of a program", command: [python, "-m", "mypy", "program.py"], cwd: join(cwd, "tests", "typing") },
      {
        name: "pyright of a program",
        command: [pyright, "-p", join(cwd, "tests", "typing"), "--pythonpath", python],
        cwd,
      },
    ];
    if (!isShortRun())
      all.push({
        name: "pytest with the lowest versions",
        command: [join(pythonLowestBin, "python"), ...["-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider"]],
        cwd,
        count: ofPytest,
      });
    const ruff = join(pythonPackagesBin, "ruff");
    if (existsSync(ruff)) {
      all.push({ name: "ruff check", command: [ruff, "check", "--no-cache", "."], cwd });
      all.push({ name: "ruff format", command: [ruff, "format", "--no-cache", "--check", "."], cwd });
    }
    return all;
  },

  java() {
    const cwd = join(clients, "java");
    // Reports of an earlier run would count as passed.
    for (const reports of ["surefire-reports", "failsafe-reports"])
      rmSync(join(cwd, "target", reports), { recursive: true, force: true });
    const options = isShortRun() ? ["-Dmaven.javadoc.skip=true"] : [];
    const command = ["mvn", "-q", "-B", "-ntp", ...options, "verify"] as const;
    return [{ name: "mvn verify", command, cwd, count: () => ofSurefire(cwd) }];
  },

  typescript() {
    const bin = join(root, "node_modules", ".bin");
    const config = join("clients", "typescript", "vitest.config.ts");
    return [
      { name: "tsc", command: [join(bin, "tsc"), "-p", join("clients", "typescript"), "--noEmit"], cwd: root },
      {
        name: "vitest",
        command: [join(bin, "vitest"), "run", "--config", config, "--reporter=./test/support/summary-reporter.ts"],
        cwd: root,
        count: ofVitest,
      },
    ];
  },

  ruby() {
    const cwd = join(clients, "ruby");
    const tests = globSync("test/*_test.rb", { cwd }).map((file): OwnTest => {
      return { name: file, command: ["ruby", "-Ilib", file], cwd, count: ofMinitest };
    });
    return isThere("rubocop") ? [...tests, { name: "rubocop", command: ["rubocop"], cwd }] : tests;
  },

  rust() {
    const manifest = ["--manifest-path", join("clients", "rust", "Cargo.toml")] as const;
    const built = ["--quiet", "--locked", "--workspace", ...manifest, "--target-dir", rustTarget] as const;
    return [
      { name: "cargo test", command: ["cargo", "test", ...built], cwd: root, count: ofCargo },
      {
        name: "cargo clippy",
        command: ["cargo", "clippy", ...built, "--all-targets", "--", "-D", "warnings"],
        cwd: root,
      },
      { name: "cargo fmt", command: ["cargo", "fmt", "--all", "--check", ...manifest], cwd: root },
    ];
  },
};

/** Runs it; `said` is what it printed. One that fails without a failed test counts as one. */
export async function runOwnTest({ command, cwd, env, count }: OwnTest): Promise<Required<Counts> & { said: string }> {
  const [program, ...args] = command;
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "close").catch((error: Error) => [error.message]);
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  const counts: Counts = count?.(out) ?? { passed: code === 0 ? 1 : 0, failed: 0 };
  const { passed, skipped = 0 } = counts;
  // A run without tests has not been one.
  const isWell = code === 0 && passed > 0;
  const failed = isWell ? counts.failed : Math.max(counts.failed, 1);
  return { passed, failed, skipped, said: (args.includes("-json") ? saidByGo(out) : out) + err };
}

/** What failed tests and packages of Go printed, and what was no event. */
function saidByGo(out: string): string {
  const outputs = new Map<string, string>();
  const failed: string[] = [];
  const others: string[] = [];
  for (const line of out.split("\n")) {
    if (!line.startsWith("{")) others.push(line);
    else {
      const {
        Action: action,
        Package: name = "",
        ImportPath: path,
        Test: test = "",
        Output: output = "",
      } = JSON.parse(line);
      const key = `${name} ${test}`;
      outputs.set(key, (outputs.get(key) ?? "") + output);
      if (action === "fail") failed.push(key);
      if (path !== undefined) others.push(output.trimEnd());
    }
  }
  return [...others, ...failed.map((key) => outputs.get(key) ?? "")].filter((text) => text !== "").join("\n");
}

function ofGo(out: string): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const line of out.split("\n")) {
    if (!line.startsWith("{")) continue;
    const { Action: action, Test: test } = JSON.parse(line);
    if (test === undefined) continue;
    if (action === "pass") counts.passed += 1;
    if (action === "fail") counts.failed += 1;
    if (action === "skip") counts.skipped += 1;
  }
  return counts;
}

function numberBefore(word: RegExp, text: string): number {
  return Number(new RegExp(`(\\d+) ${word.source}`).exec(text)?.[1] ?? 0);
}

function ofPytest(out: string): Counts {
  const last = out.trimEnd().split("\n").at(-1) ?? "";
  return {
    passed: numberBefore(/passed/, last),
    failed: numberBefore(/failed/, last) + numberBefore(/errors?/, last),
    skipped: numberBefore(/skipped/, last),
  };
}

function ofSurefire(cwd: string): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of globSync("target/{surefire,failsafe}-reports/TEST-*.xml", { cwd })) {
    const head = /<testsuite [^>]*>/.exec(readFileSync(join(cwd, file), "utf8"))?.[0] ?? "";
    const of = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
    const failed = of("failures") + of("errors");
    counts.failed += failed;
    counts.skipped += of("skipped");
    counts.passed += of("tests") - of("skipped") - failed;
  }
  return counts;
}

/** Reads the summary of this repository's own reporter. */
function ofVitest(out: string): Counts {
  const [, passed, failed, skipped] = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?/m.exec(out) ?? [];
  return { passed: Number(passed ?? 0), failed: Number(failed ?? 0), skipped: Number(skipped ?? 0) };
}

function ofMinitest(out: string): Counts {
  // Not the line before it, of runs a second.
  const last = /^\d+ runs, .*$/m.exec(out)?.[0] ?? "";
  const failed = numberBefore(/failures/, last) + numberBefore(/errors/, last);
  const skipped = numberBefore(/skips/, last);
  return { passed: numberBefore(/runs/, last) - failed - skipped, failed, skipped };
}

function ofCargo(out: string): Counts {
  const all = [...out.matchAll(/(\d+) passed; (\d+) failed; (\d+) ignored/g)];
  const sum = (at: number) => all.reduce((total, match) => total + Number(match[at]), 0);
  return { passed: sum(1), failed: sum(2), skipped: sum(3) };
}
