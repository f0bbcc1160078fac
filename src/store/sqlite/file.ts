/**
 * The database file, and the directories that are made for it: only their owner reads them. The file's name is on disk before anything in it is, and
 * it is still there when it is used.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { KmsError } from "../../errors.ts";
import { rightsOfOthers } from "../../runtime/private-file.ts";

const ownerOnly = 0o600;
const directoryModes = { owner: 0o700, group: 0o770 };

/** SQLite keeps its log beside the file itself, not beside a link to it. Of a file that is not there yet, the name it will have. */
export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(realPath(parent), basename(path)); // whoever opens it says what is wrong
  }
}

/**
 * Creates the file, and the directories above it, if need be. STORE_UNAVAILABLE where it cannot be used, or can be read by others. `groupReadable`
 * lets the group, and gives it rights to the directories that are created.
 */
export function prepareFile(path: string, groupReadable = false): void {
  try {
    makeDirectory(dirname(path), groupReadable);
    createFile(path);
    refuseSpecial(path);
    const others = rightsOfOthers(path, statSync(path), { groupReadable });
    if (others !== undefined) throw new KmsError("STORE_UNAVAILABLE", others);
  } catch (cause) {
    if (cause instanceof KmsError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    throw new KmsError("STORE_UNAVAILABLE", `the SQLite file ${path} cannot be used (${code})`, { cause });
  }
}

/** Returns the bytes of a file; 0 if there is none. */
export function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Names a database to SQLite as one that cannot change, and has no log. */
export function immutable(file: string): string {
  return `${pathToFileURL(file).href}?immutable=1`;
}

/**
 * Refuses a directory, a device or a pipe, as STORE_UNAVAILABLE: whoever opened one could wait for ever, or read without an end. A link to a file
 * is one, and so is a name that nothing has.
 */
export function refuseSpecial(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.isFile()) return;
  const kind = found.isDirectory() ? "a directory" : "a device or pipe";
  throw new KmsError("STORE_UNAVAILABLE", `${path} is ${kind}, not a file of the store: move it away`);
}

/** STORE_UNAVAILABLE if there is no such file. Nothing is made. */
export function refuseMissing(path: string): void {
  if (existsSync(path)) return;
  throw new KmsError("STORE_UNAVAILABLE", `there is no SQLite store at ${path}, and fluo.kms.store.migrate is never`, {
    advice: "see that its volume is mounted, or make the store by fluo-kms migrate",
  });
}

/** Makes its parents too, each of the same mode whatever the umask is. A name is on disk before anything in it is. */
export function makeDirectory(path: string, groupReadable = false): void {
  if (existsSync(path)) return;
  makeDirectory(dirname(path), groupReadable);
  try {
    mkdirSync(path, directoryModes.owner);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return; // another process has made it
    throw error;
  }
  if (groupReadable) chmodSync(path, directoryModes.group);
  syncDirectory(dirname(path));
}

/** The name of a file that is there already may be that of a start that failed before it was on disk. */
export function createFile(path: string): void {
  try {
    synced(openSync(path, "wx", ownerOnly));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  syncDirectory(dirname(path));
}

/** Syncs the names of the directory's files to the disk. */
export function syncDirectory(path: string): void {
  if (process.platform !== "win32") synced(openSync(path, "r")); // directories cannot be opened there
}

/** Copies a file of a store to a new name, for its owner alone. The copy has that name once it is whole and on disk. */
export function copyDurably(from: string, to: string): void {
  const draft = `${to}.new`;
  rmSync(draft, { force: true }); // of a copy that was killed
  copyFileSync(from, draft, constants.COPYFILE_EXCL);
  chmodSync(draft, ownerOnly);
  const { uid, gid } = statSync(from);
  if (process.getuid?.() === 0) chownSync(draft, uid, gid); // what root runs must not keep the service from it
  synced(openSync(draft, "r+"));
  renameSync(draft, to);
  syncDirectory(dirname(to));
}

export interface FileWatch {
  /** STORE_UNAVAILABLE once another file, or none, has the name of the database. */
  refuseAnother(): void;
  /** Which files the database and those are that SQLite keeps beside it. */
  files(): string;
  /** A descriptor of the file to read it by, open as long as the watch is. */
  descriptor: number;
  /** Only after the last connection: SQLite's locks on the file end with it. */
  close(): void;
}

/**
 * A file that was removed or replaced takes what is written to it, and is gone with the process. The watch holds the file open, so that
 * its number is given to no other.
 */
export function watchFile(path: string): FileWatch {
  const held = openSync(path, "r");
  const own = nameOf(fstatSync(held));
  return {
    refuseAnother() {
      if (nameOf(statSync(path, { throwIfNoEntry: false })) === own) return;
      throw new KmsError(
        "STORE_UNAVAILABLE",
        "the SQLite file was removed or replaced while it was in use: put it back, or restart the service with the right one",
      );
    },
    files: () => filesOf(path),
    descriptor: held,
    close: () => closeSync(held),
  };
}

/** Which files have the names of a database and of what SQLite keeps beside it: of at most 200 characters. None of them is opened. */
export function filesOf(path: string): string {
  return ["", "-wal", "-shm"].map((end) => nameOf(statSync(path + end, { throwIfNoEntry: false }))).join();
}

function nameOf(stats: Stats | undefined): string {
  return stats === undefined ? "none" : `${stats.dev}:${stats.ino}`;
}

function synced(file: number): void {
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
