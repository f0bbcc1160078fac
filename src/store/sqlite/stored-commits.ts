/** The count of commits that SQLite would read from a database and its log, looked at without a change to either. */
import { existsSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { hasCode, KmsError } from "../../errors.ts";
import { translated } from "./error-codes.ts";
import { immutable, sizeOf } from "./file.ts";

/**
 * Reads the count of a database that no process has open. Undefined if its schema has none. A connection that only reads recovers the log in
 * shared memory alone. The count is not authenticated. DATA_LOSS if the database cannot be read.
 */
export function storedCommits(file: string): number | undefined {
  return leavingNothing(file, () => reading(file, commitsIn));
}

/** The count of `storedCommits`, but undefined for a store that nothing was written to: it has no store key. */
export function commitsIfUsed(file: string): number | undefined {
  return leavingNothing(file, () => reading(file, (db) => (isUnused(db) ? undefined : commitsIn(db))));
}

/** The count in the database file alone, which has no more commits than its log. Undefined if it is not to be read without the log. */
export function commitsWithoutLog(file: string): number | undefined {
  try {
    return reading(immutable(file), commitsIn);
  } catch (error) {
    if (hasCode(error, "DATA_LOSS", "STORE_UNAVAILABLE")) return undefined;
    throw error;
  }
}

function commitsIn(db: DatabaseSync): number | undefined {
  if (!hasTable(db, "kms_commits")) return undefined;
  const row = db.prepare("select * from kms_commits").get();
  return row === undefined ? 0 : countIn(row);
}

function isUnused(db: DatabaseSync): boolean {
  return !hasTable(db, "kms_store") || db.prepare("select 1 from kms_store").get() === undefined;
}

function hasTable(db: DatabaseSync, name: string): boolean {
  return db.prepare("select 1 from sqlite_schema where name = ?").get(name) !== undefined;
}

function reading<T>(name: string, read: (db: DatabaseSync) => T): T {
  try {
    const db = new DatabaseSync(name, { readOnly: true });
    try {
      db.exec("pragma trusted_schema = off");
      return read(db);
    } finally {
      db.close();
    }
  } catch (error) {
    throw translated(error);
  }
}

const sumBytes = 32;

/**
 * The tables of a file alone may lie elsewhere than its schema says: VACUUM moves them, and a checkpoint that was cut off has written some of
 * the pages. What is read then is a row of another table.
 */
function countIn({ commits, log_heads, audit_heads }: Record<string, unknown>): number {
  const isCount = [log_heads, audit_heads].every((each) => each instanceof Uint8Array && each.length === sumBytes);
  if (isCount && Number.isSafeInteger(commits)) return commits as number;
  throw new KmsError(
    "DATA_LOSS",
    "the SQLite file is damaged (no count of commits is where it should be): restore it from a backup",
  );
}

/** No shared memory beside a database that had none. One without a page is not opened: SQLite would delete its log. */
function leavingNothing<T>(file: string, work: () => T): T | undefined {
  if (sizeOf(file) === 0) return undefined;
  const hadSharedMemory = existsSync(`${file}-shm`);
  try {
    return work();
  } finally {
    if (!hadSharedMemory) rmSync(`${file}-shm`, { force: true });
  }
}
