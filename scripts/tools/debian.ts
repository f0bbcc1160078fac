/**
 * Programs of Debian's packages. Those that this machine has are taken. Most others are unpacked into the cache with all libraries that they
 * need, which takes apt-get and no right of root. They stay as they are until the cache is emptied, whatever Debian mends.
 *
 * Some work from their installed place alone, so root installs them on the machine, and only if CI=true: nobody else wants a test to do so.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { cached, cacheFolder, linkTool, tools } from "./cache.ts";
import { command, isThere } from "./command.ts";

const onMachine = "/usr/bin/chromium";
const links = "debian";

/** Folders of programs in a package. Chromium's own is in none that is on the PATH. */
const folders = "usr/lib/chromium usr/bin usr/sbin bin sbin";

/** Runs the program whose name it has been given by a link. Libraries of PulseAudio name a folder of their own by its installed place. */
const wrapper = `#!/bin/sh
root=$(dirname "$(readlink -f "$0")")
name=$(basename "$0")
for folder in ${folders}; do
  if [ -x "$root/$folder/$name" ]; then break; fi
done
for libraries in "$root"/usr/lib/*-linux-gnu "$root"/usr/lib/*-linux-gnu/pulseaudio "$root"/lib/*-linux-gnu; do
  LD_LIBRARY_PATH=$libraries\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
done
if [ -d "$root/etc/fonts" ]; then export FONTCONFIG_PATH="$root/etc/fonts"; fi
export LD_LIBRARY_PATH
exec "$root/$folder/$name" "$@"
`;

/** Returns the path of Chromium, once it is installed. */
export function chromium(): string {
  return existsSync(onMachine) ? onMachine : join(tools, links, "chromium");
}

export async function installChromium(): Promise<void> {
  if (!existsSync(onMachine)) await unpacked("chromium", "chromium");
}

/** Has a program on the PATH of this process. Throws if it cannot be had. */
export async function provideDebian(program: string, name = program): Promise<void> {
  if (isThere("which", [program])) return;
  await unpacked(program, name);
  process.env.PATH += delimiter + join(tools, links);
}

/** Whether the PATH has a program that is not one of those unpacked here, which root's cache hides from other users. */
export function isOnMachine(program: string): boolean {
  const own = join(tools, links);
  return process.env.PATH!.split(delimiter).some((folder) => folder !== own && existsSync(join(folder, program)));
}

async function unpacked(program: string, name: string): Promise<void> {
  const place = linkTool(join(links, program), join(await unpackDebian(name), "run"));
  const { status, stderr } = spawnSync(place, ["--version"], { encoding: "utf8" });
  // A plugin of protoc fails, as it is given nothing; these are a shell's codes for what cannot be run.
  if (status === null || status === 126 || status === 127) throw new Error(`${program} does not run here: ${stderr}`);
}

/** Returns the folder of a package, unpacked together with all that it depends on, except the C library. */
export async function unpackDebian(name: string): Promise<string> {
  const release = /^VERSION_ID=.*$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[0] ?? "";
  return cached(`debian-${name}`, [name, release, wrapper], (made) => {
    const work = mkdtempSync(join(tmpdir(), "fluo-kms-debian-"));
    try {
      download(name, work);
      const archives = globSync(join(work, "archives", "*.deb"));
      // Another C library than that of the running machine would break the programs.
      const wanted = archives.filter((file) => !/\/libc6_[^/]*$/.test(file));
      if (wanted.length === 0) throw new Error(`apt-get has no package ${name}`);
      for (const file of wanted) command("dpkg-deb", ["--extract", file, made]);
      writeFileSync(join(made, "run"), wrapper);
      chmodSync(join(made, "run"), 0o755);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
}

/** By the lists of packages that the machine has; by fresh ones if these name a version that is gone. */
function download(name: string, work: string): void {
  const settings = {
    "APT::Install-Recommends": "false",
    "APT::Sandbox::User": "", // as another user, apt-get could not write to a folder of ours
    "Debug::NoLocking": "true",
    "Dir::Cache": work,
    "Dir::State::status": "/dev/null", // as if the machine had nothing
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  mkdirSync(join(work, "archives", "partial"), { recursive: true });
  const install = ["install", "--download-only", "--yes", "--quiet", name];
  try {
    command("apt-get", [...options, ...install]);
  } catch {
    const state = join(cacheFolder(), "packages", "apt");
    mkdirSync(join(state, "lists", "partial"), { recursive: true });
    const own = [...options, "-o", `Dir::State=${state}`];
    command("apt-get", [...own, "update", "--quiet"]);
    command("apt-get", [...own, ...install]);
  }
}

/** Has packages installed on this machine unless nothing is missing. */
export function installOnMachine(isMissing: () => boolean, names: readonly string[]): void {
  if (!isMissing()) return;
  const args = ["--no-install-recommends", ...names];
  if (process.env.CI !== "true") throw new Error(`as root, run: apt-get install ${args.join(" ")}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const quietly = ["--yes", "--quiet", "-o", "DPkg::Lock::Timeout=300"];
  command("apt-get", ["update", ...quietly], { env });
  command("apt-get", ["install", ...quietly, ...args], { env });
}
