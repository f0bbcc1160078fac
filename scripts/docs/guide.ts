/** Walks one guide: every step of it in order, in a fresh directory that looks like the project's. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { loadConfig } from "../../src/config/load.ts";
import { type Step, stepsOf } from "./blocks.ts";
import { isShown } from "./expected.ts";
import { makePlace } from "./place.ts";
import { openTerminal, type Program, startProgram } from "./terminal.ts";

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** How many times as long as the guide says a step may take: the machine may do other work. */
const slowness = 10;
/** Between tries of what takes its time. */
const againMs = 500;
/** Where the guides' reader has the project, in what commands print. */
const readersFolder = "/home/ann/fluo-kms";
/** Of what a program said, beside a failure. */
const saidLines = 20;

/** `page` is a path from `root`, the project's. Says what fails, with the line, and what is not run, and why. */
export async function walk(root: string, page: string): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  await using place = await makePlace(root);
  const terminal = openTerminal(place);
  const running = new Map<string, Program>();
  // Nothing is left behind, however this process ends.
  process.once("exit", () => {
    terminal.close();
    for (const program of running.values()) program.kill();
  });

  /** What is wrong; undefined where nothing is. */
  async function take(step: Exclude<Step, { kind: "skip" }>): Promise<string | undefined> {
    switch (step.kind) {
      case "run":
        return runUntilShown(step);
      case "start":
        return start(step);
      case "end":
        await running.get(step.name)?.end();
        return running.delete(step.name) ? undefined : `nothing of the name ${step.name} is running`;
      case "read":
        return read(step.language, step.text);
      case "unknown":
        return step.what;
    }
  }

  async function runUntilShown({ command, expected, withinMs }: Extract<Step, { kind: "run" }>) {
    const until = performance.now() + slowness * withinMs;
    for (;;) {
      const { output: printed, code } = await terminal.run(command);
      const output = printed.replaceAll(place.cwd, readersFolder);
      if (isRight(expected, output, code)) return undefined;
      if (performance.now() >= until) return `it printed (exit code ${code})\n${output}`;
      await pause(againMs);
    }
  }

  /** In the place of one of the same name. */
  async function start({ name, command, until, expected }: Extract<Step, { kind: "start" }>) {
    await running.get(name)?.end();
    const { program, started } = await startProgram(command, until, place);
    running.set(name, program);
    const output = program.output().replaceAll(place.cwd, readersFolder);
    const isGood = started && (!expected || isShown(`…\n${expected}…`, output));
    return isGood ? undefined : `it printed\n${output}`;
  }

  function read(language: "properties" | "json", text: string): string | undefined {
    const file = join(place.env.TMPDIR, "read.properties");
    writeFileSync(file, text);
    try {
      if (language === "json") JSON.parse(text);
      else loadConfig({ env: {}, file });
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  for (const step of stepsOf(readFileSync(join(root, page), "utf8"))) {
    const where = `${page}:${step.line}`;
    if (step.kind === "skip") {
      counts.skipped += 1;
      console.log(`not run: ${where}: ${step.why}`);
      continue;
    }
    const problem = await take(step);
    if (problem === undefined) {
      counts.passed += 1;
      continue;
    }
    counts.failed += 1;
    console.log(`FAILED: ${where}: ${"command" in step ? step.command.trimEnd() : step.kind}\n${problem}`);
    for (const [name, program] of running) {
      console.log(`--- ${name} said\n${program.output().trimEnd().split("\n").slice(-saidLines).join("\n")}\n---`);
    }
  }
  terminal.close();
  await Promise.all([...running.values()].map((program) => program.end()));
  return counts;
}

/** Where nothing is expected (`""`) nothing may be printed; where that is not told (undefined) the exit code counts alone. */
function isRight(expected: string | undefined, output: string, code: number | undefined): boolean {
  if (code === undefined) return false;
  if (expected) return isShown(expected, output);
  return code === 0 && (expected === undefined || output === "");
}
