/**
 * Which processes have a database open, by a lock of our own: SQLite's say only who reads or writes at this moment. It is on `<database>.lock`,
 * an empty SQLite file with a rollback journal, as Node has no flock. A process that has the database open holds a read transaction on it;
 * one that must be alone holds it exclusively. Who is about to do either has its turn first, by `<database>.opening.lock`. A lock ends with its
 * process, however that ends.
 */
import { closeSync, fchownSync, openSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { KmsError } from "../../errors.ts";
import { refuseSpecial } from "./file.ts";
import { isBusy, isFull, isSqlite, reasonOf } from "./error-codes.ts";

/** It ends, too, once nothing refers to it. */
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
  const turn = takeTurn(file, aloneMs);
  if (turn === undefined) {
    throw new KmsError(
      "STORE_UNAVAILABLE",
      `another process keeps the SQLite store to itself by ${turnPath(file)}: wait for it, or end it`,
    );
  }
  try {
    return heldInTurn(file, whenAlone);
  } finally {
    turn.close();
  }
}

/** Whoever holds the lock now shares it, and has found the log in order: nobody is alone with the database but whose turn it is. */
function heldInTurn(file: string, whenAlone: () => void): Hold {
  const path = lockPath(file);
  const lock = openLock(path, file);
  try {
    if (takesAlone(lock, 0)) {
      whenAlone();
      lock.exec("rollback");
    }
    lock.exec("begin; select count(*) from sqlite_schema");
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

/** Runs `work` while no other process has the database open, nor can open it; or `inUse`, which throws STORE_UNAVAILABLE unless it is given. */
export async function aloneWith<T>(
  file: string,
  work: () => Promise<T>,
  inUse: () => Promise<T> = () => refuseInUse(file),
): Promise<T> {
  const path = lockPath(file);
  const turn = takeTurn(file, 0);
  try {
    const lock = turn && openLock(path, file);
    try {
      if (lock !== undefined && takesAlone(lock, 0)) return await work();
    } catch (error) {
      throw lockProblem(error, path);
    } finally {
      lock?.close();
    }
  } finally {
    turn?.close();
  }
  return inUse();
}

async function refuseInUse(file: string): Promise<never> {
  throw new KmsError("STORE_UNAVAILABLE", `the SQLite store ${file} is in use: stop what uses it`);
}

/**
 * The turn to look who holds the database, until it is closed; undefined if another keeps it for so many milliseconds. Without turns, who waits for
 * one that is alone could not tell whether that one went on or found the log damaged.
 */
function takeTurn(file: string, withinMs: number): DatabaseSync | undefined {
  return takeLock(turnPath(file), withinMs, file);
}

/**
 * Takes the lock file exclusively, until it is closed; undefined if another process keeps it for so many milliseconds. Makes the file if need be, as
 * `makeLockFile` does. STORE_UNAVAILABLE if it cannot be used.
 */
export function takeLock(path: string, withinMs: number, like?: string): DatabaseSync | undefined {
  const lock = openLock(path, like);
  try {
    if (takesAlone(lock, withinMs)) return lock;
  } catch (error) {
    lock.close();
    throw lockProblem(error, path);
  }
  lock.close();
  return undefined;
}

function openLock(path: string, like?: string): DatabaseSync {
  makeLockFile(path, like);
  try {
    return new DatabaseSync(path);
  } catch (error) {
    throw lockProblem(error, path);
  }
}

function lockPath(file: string): string {
  return `${file}.lock`;
}

function turnPath(file: string): string {
  return `${file}.opening.lock`;
}

/** Both lock files. */
export function lockPaths(file: string): string[] {
  return [lockPath(file), turnPath(file)];
}

/** What is wrong with the lock file itself; any other error as it is. */
function lockProblem(error: unknown, path: string): unknown {
  if (!isSqlite(error)) return error;
  const advice = isFull(error) ? "make room on its disk" : "remove it while nothing uses the store";
  const message = `the lock file ${path} cannot be used (${reasonOf(error)}): ${advice}`;
  return new KmsError("STORE_UNAVAILABLE", message, { cause: error });
}

/** Takes the lock file exclusively, until the transaction ends; false if another process keeps a share in it for so many milliseconds. */
export function takesAlone(lock: DatabaseSync, withinMs: number): boolean {
  try {
    lock.exec(`pragma busy_timeout = ${withinMs}; begin exclusive`);
    return true;
  } catch (error) {
    if (isBusy(error)) return false;
    throw error;
  }
}

/**
 * Never opened by other means once it is there: the locks of a process end when it closes any descriptor of a file. If root makes it, the
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
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST") refuseSpecial(path);
    else throw new KmsError("STORE_UNAVAILABLE", `the lock file ${path} cannot be made (${code})`, { cause });
  }
}

/** A command that root runs first must not keep the service from the lock: SQLite gives its own files to the owner of the database too. */
function chownLike(made: number, like: string): void {
  if (process.getuid?.() !== 0) return;
  const owner = statSync(like, { throwIfNoEntry: false });
  if (owner !== undefined) fchownSync(made, owner.uid, owner.gid);
}
