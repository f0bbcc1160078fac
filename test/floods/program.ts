/** The program in Go that floods, and that is the client which is measured. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
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
  /** Until the first call was answered, on a new connection. */
  firstMs: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
}

/** What a flood sent, and how its connections ended, by name. */
export type Sent = Readonly<Record<string, number>>;

/** Runs it to its end, and gives what it printed. */
export async function runProgram(name: string, options: Record<string, string | number>): Promise<unknown> {
  const words = Object.entries(options).map(([option, value]) => `-${option}=${value}`);
  const child = spawn(binary, [name, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  const end = () => child.kill("SIGKILL");
  process.once("exit", end);
  const [[code], out, err] = await Promise.all([once(child, "close"), text(child.stdout), text(child.stderr)]);
  process.off("exit", end);
  if (code !== 0) throw new Error(`the program ended with ${code}: ${err}`);
  return JSON.parse(out);
}
