/** The count of commits that SQLite would read from a database and its log, looked at without a change to either. */
import { existsSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { translated } from "./error-codes.ts";

/**
 * For a database that no process has open. Undefined if its schema has no such count. A connection that only reads recovers the log in shared
 * memory alone. The count is not authenticated. DATA_LOSS if the database cannot be read.
 */
export function storedCommits(file: string): number | undefined {
  const hadSharedMemory = existsSync(`${file}-shm`);
  try {
    const db = new DatabaseSync(file, { readOnly: true });
    try {
      db.exec("pragma trusted_schema = off");
      const schema = db.prepare("select count(*) as present from sqlite_schema where name = 'kms_commits'").get();
      if (Number(schema?.present) === 0) return undefined;
      return Number(db.prepare("select commits from kms_commits").get()?.commits ?? 0);
    } finally {
      db.close();
    }
  } catch (error) {
    throw translated(error);
  } finally {
    if (!hadSharedMemory) rmSync(`${file}-shm`, { force: true });
  }
}
