/** Runs one program of the build. */
import { spawnSync } from "node:child_process";

interface Options {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

/** Returns what the program prints. Throws with what it complained of unless it ends with 0. */
export function command(name: string, args: readonly string[], { cwd, env }: Options = {}): string {
  const { error, status, stdout, stderr } = spawnSync(name, args, {
    cwd,
    env: { ...process.env, ...env },
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (status !== 0) throw new Error(`${name} ${args.join(" ")} failed: ${error?.message ?? stderr.trim()}`);
  return stdout;
}
