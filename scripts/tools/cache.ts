/**
 * Other people's code, outside of the checkout, where every clone finds what another one installed: `$XDG_CACHE_HOME/fluo-kms`, by default
 * `~/.cache/fluo-kms`.
 *
 * An entry is a folder, named for what it holds and for a digest of all that defines it. It is made in a folder beside its place, put there by
 * a rename, and never changed afterwards, so that an entry is whole if it is there. `packages/` is different: package managers keep their
 * downloads and Go its compiled packages there, by their own rules and checksums, and these folders grow. Nothing removes what is out of use.
 * All of the cache may be deleted when no suite runs: `tools/` of a clone has links into it, which the next installation renews.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";

/** The folder of this clone for links to the cache, and for what is built from the clone's own sources. */
export const tools = join(import.meta.dirname, "..", "..", "tools");

/** Returns the folder of the cache. The XDG specification has a relative XDG_CACHE_HOME ignored. */
export function cacheFolder(): string {
  const given = process.env.XDG_CACHE_HOME ?? "";
  return join(isAbsolute(given) ? given : join(homedir(), ".cache"), "fluo-kms");
}

/**
 * Returns the folder of an entry. Unless it is there, `make` fills an empty folder, which then becomes the entry at `place`. `inputs` are all
 * that the result depends on, beside the platform. If several processes make the same entry, the first one's is used by all.
 */
export async function cached(
  name: string,
  inputs: readonly string[],
  make: (folder: string, place: string) => Promise<void> | void,
): Promise<string> {
  const defined = JSON.stringify([process.platform, process.arch, ...inputs]);
  const digest = createHash("sha256").update(defined).digest("hex").slice(0, 16);
  const place = join(cacheFolder(), `${name}-${digest}`);
  if (existsSync(place)) return place;
  process.stderr.write(`${name} is not in ${cacheFolder()} yet: it is installed once, which may take minutes\n`);
  mkdirSync(cacheFolder(), { recursive: true });
  const made = mkdtempSync(`${place}.`);
  try {
    chmodSync(made, 0o755);
    await make(made, place);
    putInPlace(made, place);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
  return place;
}

/** Renames `made` to `place`, or removes it if somebody else's is there already, which is as good. */
export function putInPlace(made: string, place: string): void {
  try {
    renameSync(made, place);
  } catch (error) {
    if (!existsSync(place)) throw error;
    rmSync(made, { recursive: true, force: true });
  }
}

/** Has `tools/NAME` of this clone lead to `target`, instead of whatever is there. Returns that path. */
export function linkTool(name: string, target: string): string {
  const place = join(tools, name);
  const found = lstatSync(place, { throwIfNoEntry: false });
  if (found?.isSymbolicLink() && readlinkSync(place) === target) return place;
  mkdirSync(dirname(place), { recursive: true });
  const link = `${place}.${process.pid}`;
  symlinkSync(target, link);
  if (found?.isDirectory()) rmSync(place, { recursive: true });
  renameSync(link, place);
  return place;
}

let known: Readonly<Record<string, string>> | undefined;

/**
 * Returns the environment in which package managers keep what they download in the cache, and nothing in the home directory. Their settings,
 * such as registries, stay where they are.
 */
export function packageCaches(): Readonly<Record<string, string>> {
  known ??= environment(join(cacheFolder(), "packages"));
  return known;
}

/** Sets that environment for this process, and so for all that it starts. */
export function usePackageCaches(): void {
  Object.assign(process.env, packageCaches());
}

function environment(packages: string): Record<string, string> {
  // The one way to have Go count its calls elsewhere than in the home directory.
  const telemetry = { TEST_TELEMETRY_DIR: join(packages, "go-telemetry") };
  return {
    ...telemetry,
    BUF_CACHE_DIR: join(packages, "buf"),
    CARGO_HOME: cargoHome(join(packages, "cargo")),
    GOCACHE: join(packages, "go-build"),
    GOFLAGS: addedTo(goFlags(telemetry), "-modcacherw"), // or nobody could delete them
    GOMODCACHE: join(packages, "go", "pkg", "mod"),
    GOPATH: join(packages, "go"),
    MAVEN_OPTS: addedTo(process.env.MAVEN_OPTS ?? "", `-Dmaven.repo.local=${join(packages, "maven")}`),
    PIP_CACHE_DIR: join(packages, "pip"),
    STATICCHECK_CACHE: join(packages, "staticcheck"),
    XDG_DATA_HOME: join(packages, "data"), // Vitest's token, and indices of gems
    npm_config_cache: join(packages, "npm"),
  };
}

function addedTo(options: string, option: string): string {
  return options.split(" ").includes(option) ? options : `${options} ${option}`.trim();
}

/** Of the environment or of Go's own file of settings, which the variable replaces. */
function goFlags(telemetry: Readonly<Record<string, string>>): string {
  const env = { ...process.env, ...telemetry };
  return (spawnSync("go", ["env", "GOFLAGS"], { env, encoding: "utf8" }).stdout ?? "").trim();
}

/** Cargo has one folder for settings and downloads, so the new one has links to the settings of the usual one. */
function cargoHome(folder: string): string {
  const usual = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  if (usual === folder) return folder;
  for (const file of ["config.toml", "config", "credentials.toml", "credentials"]) {
    const link = join(folder, file);
    if (!existsSync(join(usual, file)) || lstatSync(link, { throwIfNoEntry: false })) continue;
    mkdirSync(folder, { recursive: true });
    symlinkSync(join(usual, file), link);
  }
  return folder;
}
