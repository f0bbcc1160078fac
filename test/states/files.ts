/** The files of a store as values: read from a folder, changed in memory, and written to another folder. */
import { spawnSync } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A file's bytes, or something that is no file. `zeros` is a link to /dev/zero. */
export type Content = Buffer | Special;

export type Special = (typeof specials)[number];

/** Contents by name in the folder. A name that nothing has is not in the map. */
export type Files = Map<string, Content>;

export const specials = ["pipe", "directory", "zeros"] as const;

export const names = {
  database: "kms.db",
  log: "kms.db-wal",
  heads: "kms.db-heads",
  secondHeads: "kms.db-heads.1",
  masterKey: "master.key",
} as const;

/** Both generations of a heads file. */
export const headsNames = [names.heads, names.secondHeads] as const;

/** Reads everything in a folder. */
export function readFolder(folder: string): Files {
  return new Map(readdirSync(folder).map((name) => [name, contentOf(join(folder, name))]));
}

/** Reads the files that a start may not lose, beside a service too: what is noted before what may go further meanwhile. */
export function readStore(folder: string): Files {
  const inOrder = [...headsNames, names.database, names.log, names.masterKey];
  const present = inOrder.filter((name) => lstatSync(join(folder, name), { throwIfNoEntry: false }) !== undefined);
  return new Map(present.map((name) => [name, contentOf(join(folder, name))]));
}

function contentOf(path: string): Content {
  const found = lstatSync(path);
  if (found.isFile()) return readFileSync(path);
  if (found.isDirectory()) return "directory";
  return found.isFIFO() ? "pipe" : "zeros";
}

/** Makes the folder. */
export function writeFolder(files: Files, folder: string): void {
  mkdirSync(folder, { mode: 0o700 });
  for (const [name, content] of files) make(join(folder, name), content);
}

function make(path: string, content: Content): void {
  if (typeof content !== "string") writeFileSync(path, content, { mode: 0o600 });
  else if (content === "directory") mkdirSync(path);
  else if (content === "zeros") symlinkSync("/dev/zero", path);
  else makePipe(path);
}

function makePipe(path: string): void {
  const { status, error } = spawnSync("mkfifo", [path]);
  if (status !== 0) throw new Error(`mkfifo ${path} failed`, { cause: error });
}

/** The bytes under a name; undefined if nothing has the name, or no file. */
export function bytesOf(files: Files, name: string): Buffer | undefined {
  const content = files.get(name);
  return typeof content === "string" ? undefined : content;
}

export function isSame(a: Content | undefined, b: Content | undefined): boolean {
  return typeof a === "object" && typeof b === "object" ? a.equals(b) : a === b;
}
