/**
 * Debian's packages in the image, by a lock file: `deploy/image/debian.lock.json` has the version and SHA-256 of each, for both architectures.
 * They come by apt-get from the sources that this machine has, with package lists of our own, so that arm64 needs no change of the machine.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../tools/cache.ts";
import { command } from "../tools/command.ts";
import { type Architecture, architectures, root } from "./recipe.ts";

export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
}

export type Lock = Readonly<Record<Architecture["name"], readonly LockedPackage[]>>;

export const lockFile = join(root, "deploy", "image", "debian.lock.json");

/** What Node needs, the authorities, and who made the system. gcc-12-base has the licences of GCC's libraries. */
const names = ["base-files", "ca-certificates", "gcc-12-base", "libatomic1", "libc6", "libgcc-s1", "libstdc++6"];

const cache = join(cacheFolder(), "debs");

export function readLock(): Lock {
  return JSON.parse(readFileSync(lockFile, "utf8"));
}

/** Locks the versions that Debian serves now. */
export function writeLock(): void {
  const lock = Object.fromEntries(Object.values(architectures).map((each) => [each.name, served(each)]));
  writeFileSync(lockFile, `${JSON.stringify(lock, null, 2)}\n`);
}

/** Returns the files of the locked packages, by name. Each has the locked SHA-256. */
export function downloadLocked(architecture: Architecture, lock: Lock): ReadonlyMap<string, string> {
  let isUpdated = false;
  const update = () => {
    if (!isUpdated) updateLists(architecture);
    isUpdated = true;
  };
  return new Map(lock[architecture.name].map((each) => [each.name, download(each, architecture, update)]));
}

function download({ name, version, sha256 }: LockedPackage, architecture: Architecture, update: () => void): string {
  const file = join(cache, `${sha256}.deb`);
  if (existsSync(file) && sha256Of(file) === sha256) return file;
  update();
  const fetched = fetchPackage(architecture, name, version);
  const found = sha256Of(fetched);
  if (found !== sha256) throw new Error(`${name} ${version} has SHA-256 ${found}, and the lock file ${sha256}`);
  renameSync(fetched, file);
  return file;
}

function served(architecture: Architecture): LockedPackage[] {
  updateLists(architecture);
  return names.map((name) => {
    const policy = command("apt-cache", [...options(architecture), "policy", name]);
    const version = /Candidate: (\S+)/.exec(policy)?.[1];
    if (version === undefined) throw new Error(`Debian has no ${name} for ${architecture.name}`);
    const file = fetchPackage(architecture, name, version);
    const sha256 = sha256Of(file);
    renameSync(file, join(cache, `${sha256}.deb`));
    return { name, version, sha256 };
  });
}

function fetchPackage(architecture: Architecture, name: string, version: string): string {
  const work = join(cache, `${name}-${architecture.name}-${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    command("apt-get", [...options(architecture), "download", `${name}=${version}`], { cwd: work });
    const file = join(cache, `${name}-${architecture.name}-${process.pid}.deb`);
    command("sh", ["-c", 'mv ./*.deb "$1"', "sh", file], { cwd: work });
    return file;
  } catch (error) {
    const advice = "if Debian has a newer version, `npm run image -- --lock` locks that one";
    throw new Error(`${name} ${version} was not downloaded; ${advice}`, { cause: error });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function updateLists(architecture: Architecture): void {
  process.stderr.write(`Reading Debian's package lists for ${architecture.name}\n`);
  command("apt-get", [...options(architecture), "update", "--quiet"]);
}

/** Makes the folders too. As another user, apt-get could not write to them. */
function options({ name }: Architecture): string[] {
  const state = join(cacheFolder(), "packages", `apt-${name}`);
  for (const folder of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(state, folder), { recursive: true });
  mkdirSync(cache, { recursive: true });
  const settings = {
    "APT::Architecture": name,
    "APT::Architectures": name,
    "APT::Sandbox::User": "",
    "Dir::State": state,
    "Dir::State::status": "/dev/null",
    "Dir::Cache": join(state, "cache"),
  };
  return Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
}

function sha256Of(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}
