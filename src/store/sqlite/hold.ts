/**
 * Which processes have a database open, by a lock of our own: SQLite's say only who reads or writes at this moment. It is on `<database>.lock`,
 * an empty SQLite file with a rollback journal, as Node has no flock. A process that has the database open holds a read transaction on it;
 * one that must be alone holds it exclusively. A lock ends with its process, however that ends.
 */
import { closeSync, fchownSync, openSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { KmsError } from "../../errors.ts";
import { isBusy, isSqlite, reasonOf } from "./error-codes.ts";

export interface Hold {
  /** A second call does nothing. */
  release(): void;
}

const ownerOnly = 0o600;
/** How long another process may be alone with the database: it reads a log. */
const aloneMs = 60_000;

/**
 * Holds the database until it is released. If no other process holds it, `whenAlone` runs first, and no other can begin meanwhile. What it
 * throws ends the hold. STORE_UNAVAILABLE if another process stays alone with the database.
 */
export function holdDatabase(file: string, whenAlone: () => void): Hold {
  const path = `${file}.lock`;
  makeLockFile(path, file);
  const lock = new DatabaseSync(path);
  try {
    if (isAlone(lock)) {
      whenAlone();
      // Another process that is alone in between changes nothing that was read, as none but us has the database open until it has.
      lock.exec("rollback");
    }
    share(lock, path);
  } catch (error) {
    lock.close();
    throw lockProblem(error, path);
  }
  return {
    release() {
      if (lock.isOpen) lock.close();
    },
  };
}

/** Runs `work` while no other process has the database open, nor can open it. STORE_UNAVAILABLE if one has. */
export async function aloneWith<T>(file: string, work: () => Promise<T>): Promise<T> {
  const path = `${file}.lock`;
  makeLockFile(path, file);
  const lock = new DatabaseSync(path);
  try {
    if (isAlone(lock)) return await work();
  } catch (error) {
    throw lockProblem(error, path);
  } finally {
    lock.close();
  }
  throw new KmsError("STORE_UNAVAILABLE", `the SQLite store ${file} is in use: stop what uses it`);
}

/** What is wrong with the lock file itself; any other error as it is. */
function lockProblem(error: unknown, path: string): unknown {
  if (!isSqlite(error)) return error;
  const message = `the lock file ${path} cannot be used (${reasonOf(error)}): remove it while nothing uses the store`;
  return new KmsError("STORE_UNAVAILABLE", message, { cause: error });
}

function isAlone(lock: DatabaseSync): boolean {
  try {
    lock.exec("pragma busy_timeout = 0; begin exclusive");
    return true;
  } catch (error) {
    if (isBusy(error)) return false;
    throw error;
  }
}

function share(lock: DatabaseSync, path: string): void {
  try {
    lock.exec(`pragma busy_timeout = ${aloneMs}; begin; select count(*) from sqlite_schema`);
  } catch (error) {
    if (!isBusy(error)) throw error;
    throw new KmsError(
      "STORE_UNAVAILABLE",
      `another process keeps the SQLite store to itself by ${path}: wait for it, or end it`,
    );
  }
}

/**
 * Never opened by other means once it is there: the locks of a process end when it closes any descriptor of a file. Where root makes it, the
 * owner of the file `like` gets it.
 */
export function makeLockFile(path: string, like?: string): void {
  try {
    const made = openSync(path, "wx", ownerOnly);
    try {
      if (like !== undefined) chownLike(made, like);
    } finally {
      closeSync(made);
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return;
    const { code } = cause as NodeJS.ErrnoException;
    throw new KmsError("STORE_UNAVAILABLE", `the lock file ${path} cannot be made (${code})`, { cause });
  }
}

/** A command that root runs first must not keep the service from the lock: SQLite gives its own files to the owner of the database too. */
function chownLike(made: number, like: string): void {
  if (process.getuid?.() !== 0) return;
  const owner = statSync(like, { throwIfNoEntry: false });
  if (owner !== undefined) fchownSync(made, owner.uid, owner.gid);
}
