/** Runs one program of a build or of an installation to its end. */
import { spawnSync } from "node:child_process";
import { packageCaches } from "./cache.ts";

interface Options {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

/** Returns what the program prints. Throws with the end of what it said unless it ends with 0. */
export function command(name: string, args: readonly string[], { cwd, env }: Options = {}): string {
  const { error, status, stdout, stderr } = spawnSync(name, args, {
    cwd,
    env: { ...process.env, ...packageCaches(), ...env },
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) {
    const said = error?.message ?? (stdout + stderr).trim().split("\n").slice(-40).join("\n");
    throw new Error(`${name} ${args.join(" ")} failed: ${said}`);
  }
  return stdout;
}

/** Whether the command works, by default when asked for its version. */
export function isThere(name: string, args: readonly string[] = ["--version"], env?: NodeJS.ProcessEnv): boolean {
  return spawnSync(name, args, { env: { ...process.env, ...packageCaches(), ...env } }).status === 0;
}
