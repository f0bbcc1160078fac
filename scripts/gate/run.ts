/** Runs one command of the gate: what it printed, what it counted, how long it took, and what failed in it. */
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { stripVTControlCharacters } from "node:util";
import type { FileResult, RunResult } from "../../test/support/results.ts";

export interface Outcome {
  passed: number;
  failed: number;
  seconds: number;
  /** Processor time of it and of all processes that it awaited. */
  cpuSeconds: number;
  /** Both outputs as they came, without colours. */
  said: string;
  /** Results of each run of Vitest in it. */
  runs: RunResult[];
}

/** Environment variables; those that are undefined are taken away. */
export type Environment = Readonly<Record<string, string | undefined>>;

const counts = /^(\d+) passed, (\d+) failed(?:, \d+ skipped)?$/gm;

/**
 * Runs `command`, whose words have no blanks, in `cwd`. It counts what the lines `N passed, N failed` say. A command that fails counts as one
 * failure at least. One that succeeds without such a line is one that passed, such as a linter. `results` is a folder of its own.
 */
export async function run(command: string, cwd: string, results: string, env: Environment = {}): Promise<Outcome> {
  mkdirSync(results, { recursive: true });
  // Only a shell tells of the processor time of all that ran below it. Its line goes to a third output.
  const timed = ["-c", `TIMEFORMAT="%R %U %S"; { time ${command} 2>&4; } 4>&2 2>&3`];
  const all = { ...process.env, TEST_RESULTS: results, ...env };
  const child = spawn("bash", timed, { cwd, env: all, stdio: ["ignore", "pipe", "pipe", "pipe"] });
  const chunks: string[] = [];
  for (const output of [child.stdout!, child.stderr!]) {
    output.setEncoding("utf8").on("data", (chunk: string) => void chunks.push(chunk));
  }
  const ended = new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  const [code, times] = await Promise.all([ended, text(child.stdio[3] as Readable)]);
  const said = stripVTControlCharacters(chunks.join(""));
  const [seconds, user, system] = times.trim().split(" ").map(Number) as [number, number, number];
  const lines = [...said.matchAll(counts)];
  const passed = sum(lines.map((line) => line[1])) + (lines.length === 0 && code === 0 ? 1 : 0);
  const failed = Math.max(sum(lines.map((line) => line[2])), code === 0 ? 0 : 1);
  return { passed, failed, seconds, cpuSeconds: user + system, said, runs: runsIn(results) };
}

function sum(numbers: readonly (string | undefined)[]): number {
  return numbers.reduce((total, each) => total + Number(each), 0);
}

function runsIn(folder: string): RunResult[] {
  return readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), "utf8")));
}

export interface FailedFile {
  run: RunResult;
  file: FileResult;
}

/** Files of Vitest in which something failed. */
export function failedFiles({ runs }: Outcome): FailedFile[] {
  return runs.flatMap((run) => run.files.filter(({ failed }) => failed.length > 0).map((file) => ({ run, file })));
}
