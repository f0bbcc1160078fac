/** The part of the root file system that is not ours: Node, the libraries that it needs, authorities, and files of users and names. */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { command } from "../tools/command.ts";
import { type Architecture, commandScript, nonroot, stateDirectory } from "./recipe.ts";

/** Empty folders that something is mounted over: on a read-only root nothing can make them. */
const mountPoints = ["proc", "dev", "sys", "tmp", "run"];

const users = [
  ["root", 0, "/root"],
  ["nobody", 65534, "/nonexistent"],
  ["nonroot", nonroot, stateDirectory],
] as const;

const texts: Readonly<Record<string, string>> = {
  "etc/passwd": users.map(([name, id, home]) => `${name}:x:${id}:${id}:${name}:${home}:/sbin/nologin\n`).join(""),
  "etc/group": users.map(([name, id]) => `${name}:x:${id}:\n`).join(""),
  "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
};

interface Parts {
  readonly architecture: Architecture;
  /** The pinned Node, as npm has it. */
  readonly node: string;
  /** Debian's packages, by name. */
  readonly packages: ReadonlyMap<string, string>;
  /** Further programs and libraries whose libraries are needed. */
  readonly addons: readonly string[];
}

/** Writes into the empty folder `to`. `work` is for files that nobody needs afterwards. */
export function writeBaseSystem(to: string, work: string, { architecture, node, packages, addons }: Parts): void {
  for (const folder of [...mountPoints, "etc/ssl/certs", "usr/bin", "usr/lib", `.${stateDirectory}`]) {
    mkdirSync(join(to, folder), { recursive: true });
  }
  for (const [file, text] of Object.entries(texts)) writeFileSync(join(to, file), text);
  const unpacked = unpackAll(packages, work);
  mergeUsr(to, architecture);
  copyNode(node, join(to, "usr/bin/node"));
  writeFileSync(join(to, "usr/bin/fluo-kms"), commandScript, { mode: 0o755 });
  copyLibraries(to, unpacked, architecture, [node, ...addons]);
  copyAuthorities(to, join(unpacked, "usr/share/ca-certificates"));
  cpSync(join(unpacked, "usr/lib/os-release"), join(to, "usr/lib/os-release"));
  symlinkSync("../usr/lib/os-release", join(to, "etc/os-release"));
  describePackages(to, unpacked, packages);
}

function unpackAll(packages: ReadonlyMap<string, string>, work: string): string {
  const to = join(work, "debian");
  for (const file of packages.values()) command("dpkg-deb", ["--extract", file, to]);
  return to;
}

/** /lib and the loader's folder are links, as Debian has them. */
function mergeUsr(to: string, { loader }: Architecture): void {
  symlinkSync("usr/lib", join(to, "lib"));
  if (!loader.startsWith("/lib64/")) return;
  mkdirSync(join(to, "usr/lib64"));
  symlinkSync("usr/lib64", join(to, "lib64"));
}

/** Takes symbols out where this machine can: those of another processor need another program. */
export function copyNode(from: string, to: string): void {
  cpSync(from, to);
  chmodSync(to, 0o755);
  if (readElf(from).includes(process.arch === "arm64" ? "AArch64" : "X86-64"))
    command("strip", ["--strip-unneeded", to]);
}

function copyLibraries(to: string, unpacked: string, { triplet, loader }: Architecture, of: readonly string[]): void {
  const folder = join(to, "usr/lib", triplet);
  mkdirSync(folder, { recursive: true });
  const waiting = of.flatMap(neededBy);
  for (const name of waiting) {
    if (existsSync(join(folder, name))) continue;
    const found = [`lib/${triplet}`, `usr/lib/${triplet}`].map((place) => join(unpacked, place, name)).find(existsSync);
    if (found === undefined) throw new Error(`no package of the lock file has the library ${name}`);
    copyFileSync(found, join(folder, name));
    waiting.push(...neededBy(found));
  }
  const file = loader.slice(loader.lastIndexOf("/") + 1);
  chmodSync(join(folder, file), 0o755);
  symlinkSync(join("/usr/lib", triplet, file), join(to, `usr${loader}`));
}

function neededBy(file: string): string[] {
  return [...readElf(file).matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name!);
}

function readElf(file: string): string {
  return command("readelf", ["--wide", "--file-header", "--dynamic", file], { env: { LC_ALL: "C" } });
}

/** One file, in the order of names, as update-ca-certificates writes it; OpenSSL looks for it as cert.pem. */
function copyAuthorities(to: string, from: string): void {
  const files = readdirSync(from, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".crt"));
  const bundle = files.sort().map((name) => `${readFileSync(join(from, name), "utf8").trimEnd()}\n`);
  writeFileSync(join(to, "etc/ssl/certs/ca-certificates.crt"), bundle.join(""));
  symlinkSync("certs/ca-certificates.crt", join(to, "etc/ssl/cert.pem"));
}

/** What scanners read instead of dpkg's own list, as in distroless images; and the licences. */
function describePackages(to: string, unpacked: string, packages: ReadonlyMap<string, string>): void {
  const status = join(to, "var/lib/dpkg/status.d");
  mkdirSync(status, { recursive: true });
  for (const [name, file] of packages) {
    writeFileSync(join(status, name), command("dpkg-deb", ["--field", file]));
    const copyright = join("usr/share/doc", name, "copyright");
    if (!existsSync(join(unpacked, copyright))) continue;
    mkdirSync(join(to, "usr/share/doc", name), { recursive: true });
    copyFileSync(join(unpacked, copyright), join(to, copyright));
  }
}
