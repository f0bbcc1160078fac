/** Programs of Debian's packages that the tests use: found on this machine, or got by apt-get where that may be done. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

/** Where Debian has it. */
export const chromium = "/usr/bin/chromium";

const quietly = ["--yes", "--quiet", "-o", "DPkg::Lock::Timeout=300"] as const;

/**
 * Chromium with all its libraries, installed on the machine by root in CI: nobody else wants a test to do so. Throws where it is not there
 * and cannot be installed.
 */
export function installChromium(): void {
  installDebian(chromium, "chromium");
}

/** A command by the package that has it, on the same terms. */
export function installDebian(command: string, name: string): void {
  installDebianWhere(() => spawnSync("which", [command]).status !== 0, [name]);
}

/** Packages that have no command, on the same terms. */
export function installDebianWhere(isMissing: () => boolean, names: readonly string[]): void {
  if (!isMissing()) return;
  const args = ["--no-install-recommends", ...names];
  if (process.env.CI !== "true") throw new Error(`as root, run: apt-get install ${args.join(" ")}`);
  update();
  run("apt-get", ["install", ...quietly, ...args]);
}

/** Prometheus, unpacked into `folder`: installed, it would be started as a service of the machine. */
export function installPrometheus(folder: string): void {
  unpackDebian("prometheus", folder, join("usr", "bin", "prometheus"));
}

/** A package, unpacked into `folder` and not installed. `program` is a path in it that then works. */
export function unpackDebian(name: string, folder: string, program: string): void {
  if (isThere(join(folder, program))) return;
  const work = mkdtempSync(`${mkdirFor(folder)}-`);
  try {
    if (!download(name, work)) {
      update();
      if (!download(name, work)) throw new Error(`apt-get has no package ${name}`);
    }
    const [archive] = readdirSync(work).filter((file) => file.endsWith(".deb"));
    run("dpkg-deb", ["--extract", join(work, archive!), join(work, "unpacked")]);
    rmSync(folder, { recursive: true, force: true });
    renameSync(join(work, "unpacked"), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function mkdirFor(folder: string): string {
  mkdirSync(join(folder, ".."), { recursive: true });
  return folder;
}

/** By the lists of packages that the machine has; old ones may name a version that is gone. */
function download(name: string, cwd: string): boolean {
  // As another user, apt-get could not write to a folder of ours.
  const asItself = ["-o", "APT::Sandbox::User=root"];
  return spawnSync("apt-get", ["download", ...asItself, name], { cwd }).status === 0;
}

function update(): void {
  run("apt-get", ["update", ...quietly]);
}

export function isThere(command: string, args: readonly string[] = ["--version"]): boolean {
  return spawnSync(command, args).status === 0;
}

function run(command: string, args: readonly string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const { error, status, stderr } = spawnSync(command, args, { encoding: "utf8", env });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? stderr}`);
}
