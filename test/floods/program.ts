/** The program in Go that floods, and that is the client which is measured. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { buildGo } from "../../scripts/tools/go.ts";

const binary = join(import.meta.dirname, "..", "..", "tools", "bin", "floods");

/** Throws if there is no Go. */
export function buildProgram(): void {
  buildGo(join(import.meta.dirname, "go"), binary);
}

/** What the client saw; times count from when a call was due. */
export interface Healthy {
  count: number;
  failures: Record<string, number>;
  /** Message of the last failure. */
  reason?: string;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  /** The slowest call of those on a connection of its own, one each 2 s. */
  newMs: number;
}

/** What a flood sent, and how its connections ended, by name. */
export type Sent = Readonly<Record<string, number>>;

export interface Running {
  /** Resolves with what it printed last. */
  ended: Promise<unknown>;
  /** Resolves when the client has made its first calls, and `begin` has it go on. */
  ready: Promise<void>;
  begin(): void;
}

export function startProgram(name: string, options: Record<string, string | number>): Running {
  const words = Object.entries(options).map(([option, value]) => `-${option}=${value}`);
  const child = spawn(binary, [name, ...words], { stdio: ["pipe", "pipe", "pipe"] });
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  const lines: string[] = [];
  const ready = new Promise<void>((resolve) => {
    createInterface(child.stdout).on("line", (line) => {
      lines.push(line);
      if (line === "ready") resolve();
    });
  });
  const result = async () => {
    const [[code], err] = await Promise.all([once(child, "close"), text(child.stderr)]);
    process.off("exit", end);
    if (code !== 0) throw new Error(`the program ended with ${code}: ${err}`);
    return JSON.parse(lines.at(-1)!);
  };
  const ended = result();
  return { ended, ready: Promise.race([ready, ended.then(() => {})]), begin: () => void child.stdin.write("\n") };
}
