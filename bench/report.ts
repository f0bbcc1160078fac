/** What a benchmark says of itself: the machine, above its tables, and a file of all figures. */
import { mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { dirname } from "node:path";

export function machine() {
  return { node: process.version, cores: availableParallelism(), cpu: cpus()[0]?.model ?? "unknown" };
}

export function printMachine(): void {
  const { node, cores, cpu } = machine();
  console.log(`node ${node}, ${cores} cores, ${cpu}; the load is made on them, too\n`);
}

/** An object with a member a part, and one about the machine. */
export function writeJson(file: string, parts: Readonly<Record<string, unknown>>): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ machine: machine(), ...parts }, undefined, 2)}\n`);
}
