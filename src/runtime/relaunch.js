/**
 * Starts the process anew under the flags of flags.js, once: in its own place, with the same process id, so that a container's first process
 * stays the first. Windows cannot do that, so there the command runs in a child, and this process stays for what the child's end is.
 */
import { flags } from "./flags.js";

/** Flags that this process lacks. */
export function missingFlags() {
  return flags.filter((flag) => !process.execArgv.includes(flag));
}

/** Comes back where there is a child, with its exit code. What was given to Node goes behind `missing`, so that it counts. */
export async function relaunch(/** @type {readonly string[]} */ missing) {
  const args = [...missing, ...process.execArgv, ...process.argv.slice(1)];
  if (process.platform !== "win32") process.execve?.(process.execPath, [process.argv0, ...args]);
  return runInChild(args);
}

async function runInChild(/** @type {readonly string[]} */ args) {
  const { spawn } = await import("node:child_process");
  const child = spawn(process.execPath, args, { stdio: "inherit" });
  // A console of Windows tells the child by itself, and there kill() would end it at once.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"])
    process.on(signal, () => process.platform === "win32" || child.kill(/** @type {NodeJS.Signals} */ (signal)));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}
