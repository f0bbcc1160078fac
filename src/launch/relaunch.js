/**
 * Starts the process anew, once, under the Node that comes with the packages and the flags of runtime/flags.js: in its own place, with the same process id, so
 * that a container's first process stays the first. Windows cannot do that, nor Node before 22.15; there the command runs in a child, and this
 * process stays for what the child's end is.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { bundledNode, isNewEnough, oldestNode } from "./bundled-node.js";
import { flags } from "../runtime/flags.js";

/** Flags that this process lacks. */
export function missingFlags() {
  return flags.filter((flag) => !process.execArgv.includes(flag));
}

/** Comes back with an exit code: that of a child, or 1 where no Node can be started. What was given to Node goes behind `missing`, so that it counts. */
export async function relaunch(/** @type {readonly string[]} */ missing) {
  const args = [...missing, ...process.execArgv, ...process.argv.slice(1)];
  const start = process.platform === "win32" || process.execve === undefined ? runInChild : takePlace;
  for (const node of nodes()) {
    const code = await start(node, args);
    if (code !== undefined) return code;
  }
  process.stderr.write(
    `fluo-kms: needs Node ${oldestNode} or later, and this is Node ${process.versions.node}. Its packages bring one along, but none that runs here\n` +
      "is installed: npm ci --include=optional installs it, or start fluo-kms with such a Node of your own.\n",
  );
  return 1;
}

/** Those to try: the one that the service is tested with, else the one that this process runs under. */
function nodes() {
  const bundled = bundledNode();
  return [...(bundled ? [bundled] : []), ...(isNewEnough(process.versions.node) ? [process.execPath] : [])];
}

/** Comes back only if that file does not run here, as one for another C library does not. */
function takePlace(/** @type {string} */ node, /** @type {readonly string[]} */ args) {
  try {
    return process.execve?.(node, [process.argv0, ...args]);
  } catch {
    return undefined;
  }
}

/**
 * Resolves with the child's exit code, as a shell counts where a signal ended it; or undefined if the file does not run here.
 * @returns {Promise<number | undefined>}
 */
function runInChild(/** @type {string} */ node, /** @type {readonly string[]} */ args) {
  const child = spawn(node, args, { stdio: "inherit" });
  // A terminal tells the child by itself, to which a second SIGINT would mean to end at once. There kill() always means that on Windows.
  const byTerminal = process.platform === "win32" ? ["SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"] : ["SIGINT"];
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2", "SIGBREAK"]) {
    const isTold = byTerminal.includes(signal) && (process.platform === "win32" || process.stdin.isTTY);
    process.on(signal, () => isTold || child.kill(/** @type {NodeJS.Signals} */ (signal)));
  }
  return new Promise((resolve) => {
    child.on("error", () => resolve(undefined));
    child.on("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? "SIGKILL"]));
  });
}
