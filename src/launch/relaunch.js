/**
 * Starts the process anew, once, under the Node that comes with the packages and the flags of runtime/flags.js. It stays in its place, with the same
 * process id, so that a container's first process stays the first. Windows cannot do that, nor Node before 22.15; there the command runs in a child, and this
 * process stays for what the child's end is.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { arePackagesThere, bundledNode, isNewEnough, oldestNode, root } from "./bundled-node.js";

/**
 * Comes back with an exit code: that of a child, or 1 where no Node can be started. What was given to Node goes behind the missing flags, so
 * that it counts.
 */
export async function relaunch(/** @type {readonly string[]} */ missing) {
  if (!arePackagesThere()) return refuse(`its packages are not installed: run npm install in ${root}`);
  const args = [...missing, ...process.execArgv, ...process.argv.slice(1)];
  const start = process.platform === "win32" || process.execve === undefined ? runInChild : takePlace;
  for (const node of nodes()) {
    const code = await start(node, args);
    if (code !== undefined) return code;
  }
  return refuse(
    `needs Node ${oldestNode} or later, and this is Node ${process.versions.node}. Its packages bring one along, but none that runs here\n` +
      "is installed: npm ci --include=optional installs it, or start fluo-kms with such a Node of your own.",
  );
}

function refuse(/** @type {string} */ why) {
  process.stderr.write(`fluo-kms: ${why}\n`);
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
  // What a terminal tells the child by itself: told twice it would end at once, as kill() has it do on Windows in any case.
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
