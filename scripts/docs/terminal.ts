/** Terminals as a reader has them: one shell in which commands follow each other, and others in which a program keeps running. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Place } from "./place.ts";

export interface Ran {
  output: string;
  /** Undefined for one that did not end in time, or ended the shell. */
  code: number | undefined;
}

export interface Terminal {
  /** Variables, functions and the directory stay for the next. */
  run(command: string): Promise<Ran>;
  close(): void;
}

const commandMs = 90_000;
const endsWithinMs = 15_000;
const shell = ["bash", "--noprofile", "--norc"] as const;
/** Nothing that a command prints. */
const mark = "\u001e";

export function openTerminal({ cwd, env }: Place): Terminal {
  const [bash, ...args] = shell;
  const child = spawn(bash, args, { cwd, env, stdio: ["pipe", "pipe", "inherit"], detached: true });
  const script = join(env.TMPDIR, "command.sh");
  let printed = "";
  let wake = () => {};
  child.stdout.setEncoding("utf8").on("data", (text) => {
    printed += text;
    wake();
  });
  child.on("exit", () => wake());
  return {
    async run(command) {
      printed = "";
      // From a file, so that no command reads what is for the shell.
      await writeFile(script, command);
      child.stdin.write(`. ${script} </dev/null 2>&1; printf '${mark}%d\\n' $?\n`);
      const until = performance.now() + commandMs;
      while (performance.now() < until && child.exitCode === null) {
        const [, output = "", code] = new RegExp(`^([^]*)${mark}(\\d+)\\n$`).exec(printed) ?? [];
        if (code !== undefined) return { output, code: Number(code) };
        await Promise.race([new Promise<void>((resolve) => (wake = resolve)), pause(1_000)]);
      }
      end(child, "SIGKILL");
      return { output: printed, code: undefined };
    },
    close: () => end(child, "SIGKILL"),
  };
}

export interface Program {
  output(): string;
  /** As Ctrl-C does. */
  end(): Promise<void>;
  /** At once. */
  kill(): void;
}

/** Resolves once it has said the words, or has ended, or had its time. */
export async function startProgram(
  command: string,
  until: string,
  { cwd, env }: Place,
): Promise<{ program: Program; started: boolean }> {
  const [bash, ...args] = shell;
  const child = spawn(bash, [...args, "-c", command], { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (printed += text));
  const latest = performance.now() + commandMs;
  while (!printed.includes(until) && child.exitCode === null && performance.now() < latest) await pause(20);
  const program: Program = {
    output: () => printed,
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const closed = once(child, "close"); // all of its group have gone
      end(child, "SIGINT");
      const timer = setTimeout(() => end(child, "SIGKILL"), endsWithinMs);
      await closed;
      clearTimeout(timer);
    },
    kill: () => end(child, "SIGKILL"),
  };
  return { program, started: printed.includes(until) };
}

/** With all that it started. */
function end(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, signal);
  } catch {
    // it is gone already
  }
}
