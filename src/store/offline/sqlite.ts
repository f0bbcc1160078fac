/** The tables of a SQLite file. A service that uses the file goes on meanwhile: readers and the one writer do not wait for each other. */
import { accessSync, chmodSync, constants, copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { realTime } from "../../runtime/time.ts";
import { KmsError } from "../../errors.ts";
import { type EmbeddedDatabase, embeddedDatabase, sqliteDialect } from "../sqlite/embedded.ts";
import { type Migrated, migrate, migrated, readSchema } from "../sql/upgrade/migration.ts";
import { newestSchema } from "../sql/rows/schema.ts";
import { refuseMarked } from "./backup-mark.ts";
import { sqlTables, type TableDialect, type Tables } from "./tables.ts";
import type { SqliteSettings } from "../sqlite/open.ts";
import { acceptancePath } from "../sqlite/wal/begun-acceptance.ts";
import { immutable, prepareFile, realPath, refuseSpecial, sizeOf } from "../sqlite/file.ts";
import { type Hold, lockPaths } from "../sqlite/hold.ts";
import {
  holdReady,
  type ReadyFile,
  refuseSpecialFiles,
  type ReadyHold,
  type LogExamination,
  unreadLog,
  wholeLog,
} from "../sqlite/ready-log.ts";

export const sqliteTableDialect: TableDialect = {
  beginSnapshot: "begin",
  refuseBackup: refuseMarked,
  hasSchema: sqliteDialect.hasSchema,
};

/** To read: nothing is written, nor made. STORE_UNAVAILABLE where there is no such store. */
export async function openSqliteTables({ file, headsFile }: SqliteSettings): Promise<Tables> {
  refuseNone(file);
  return openToRead(readyToRead({ file: realPath(file), headsFile }, storeName));
}

async function openToRead(ready: ReadyName): Promise<Tables> {
  const db = heldBy(ready, embeddedDatabase({ file: ready.name, readOnly: true, soon: setImmediate, time: realTime }));
  return closingUnless(db, withLog(sqlTables("sqlite", db, sqliteTableDialect), ready.log));
}

interface ReadyName extends ReadyHold {
  /** The name by which SQLite opens the file. */
  name: string;
}

/** The log is in order, and the database held until it is released. Where no lock can be made, a connection that only reads changes nothing. */
function readyToRead(ready: ReadyFile, nameOf: (path: string) => string): ReadyName {
  const { file } = ready;
  const name = nameOf(file);
  const hold =
    name === file && canHold(file) ? holdReady(ready, realTime) : notHeld(name, hasLog(file) ? unreadLog : wholeLog);
  return { ...hold, name };
}

function notHeld(name: string, log: LogExamination): ReadyName {
  return { name, log, release() {} };
}

async function withLog(opening: Promise<Tables>, log: LogExamination): Promise<Tables> {
  return { ...(await opening), log };
}

/** A reader that may write nothing in the directory opens the log that a service keeps there, and changes nothing of it. */
function canHold(file: string): boolean {
  return lockPaths(file).every((path) => refusal(existsSync(path) ? path : dirname(path)) === undefined);
}

function heldBy(hold: Hold, db: EmbeddedDatabase): EmbeddedDatabase {
  return { ...db, close: () => db.close().finally(() => hold.release()) };
}

/** To fill: the file and its tables are made if need be. */
export async function makeSqliteTables(settings: SqliteSettings): Promise<Tables> {
  const file = realPath(settings.file);
  prepareFile(file, settings.groupReadable);
  const hold = holdReady({ file, headsFile: settings.headsFile }, realTime);
  const db = heldBy(hold, embeddedDatabase({ file, soon: setImmediate, time: realTime }));
  const made = db.write((tx) => migrate(tx, sqliteDialect)).then(() => sqlTables("sqlite", db, sqliteTableDialect));
  return closingUnless(db, withLog(made, hold.log));
}

/** Brings the tables of a file up to date. */
export async function migrateSqlite({ file: path, headsFile, groupReadable }: SqliteSettings): Promise<Migrated> {
  const file = realPath(path);
  prepareFile(file, groupReadable);
  const hold = holdReady({ file, headsFile }, realTime);
  const db = heldBy(hold, embeddedDatabase({ file, soon: setImmediate, time: realTime }));
  try {
    return await migrated(db, sqliteDialect);
  } finally {
    await db.close();
  }
}

/** As `openSqliteTables`; one of an older schema is brought up to date in a copy, which goes when it is closed. */
export async function openSqliteBackup(settings: SqliteSettings): Promise<Tables> {
  refuseNone(settings.file);
  const file = realPath(settings.file);
  // A backup has no log, and nothing is left beside it.
  const isLeft = hasLog(file) || existsSync(acceptancePath(file)); // a service left it, or a command
  const ready = isLeft ? readyToRead({ file }, backupName) : notHeld(backupName(file), wholeLog);
  try {
    if (!(await isOlder(ready.name))) return await openToRead(ready);
    const copy = await withLog(openCopy(file), ready.log);
    ready.release();
    return copy;
  } catch (error) {
    ready.release();
    throw error;
  }
}

async function openCopy(file: string): Promise<Tables> {
  const directory = mkdtempSync(join(tmpdir(), "fluo-kms-")); // for its owner alone
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    const copy = join(directory, "backup.db");
    for (const suffix of ["", "-wal"].filter((each) => existsSync(file + each))) {
      copyFileSync(file + suffix, copy + suffix);
      chmodSync(copy + suffix, 0o600);
    }
    const tables = await makeSqliteTables({ name: "sqlite", file: copy });
    return { ...tables, close: () => tables.close().finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}

async function isOlder(name: string): Promise<boolean> {
  const db = embeddedDatabase({ file: name, readOnly: true, soon: setImmediate, time: realTime });
  try {
    const state = await db.read((query) => readSchema(query, sqliteTableDialect));
    return state !== undefined && state.version < newestSchema;
  } finally {
    await db.close();
  }
}

async function closingUnless(db: { close(): Promise<void> }, opening: Promise<Tables>): Promise<Tables> {
  try {
    return await opening;
  } catch (error) {
    await db.close();
    throw error;
  }
}

function refuseNone(file: string): void {
  if (!existsSync(file)) throw new KmsError("STORE_UNAVAILABLE", `there is no SQLite store at ${file}`);
  refuseSpecial(file);
  refuseSpecialFiles(realPath(file));
}

/**
 * Readers of a WAL database share memory in a file beside it. Where that cannot be made, and no log holds more, a backup is read as a file
 * that cannot change.
 */
function backupName(file: string): string {
  return hasLog(file) || refusal(dirname(file)) === undefined ? file : immutable(file);
}

/**
 * A service may write the store at any moment, so that it is read as one that cannot change only where nobody can write. What the service
 * has left beside the file is enough for readers who cannot make it.
 */
function storeName(file: string): string {
  if (refusal(dirname(file)) === undefined || ["-wal", "-shm"].every((end) => existsSync(file + end))) return file;
  if (refusal(file) === "EROFS" && !hasLog(file)) return immutable(file);
  throw new KmsError(
    "STORE_UNAVAILABLE",
    `the SQLite store ${file} cannot be read safely without writing to its directory: run this as the service's user`,
  );
}

function hasLog(file: string): boolean {
  return sizeOf(`${file}-wal`) > 0;
}

/** Why the path cannot be written to; undefined where it can. */
function refusal(path: string): string | undefined {
  try {
    accessSync(path, constants.W_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}
