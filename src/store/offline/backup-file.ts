/**
 * A backup: a SQLite file with the tables of a store, whatever its database. It is written, synced, read back and only then gets its
 * name, so that a crash leaves no half of one under it. It is no WAL database: one file is all of it, and can be read anywhere.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { type FileHandle, link, open, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { realTime } from "../../runtime/time.ts";
import { KmsError } from "../../errors.ts";
import type { Query, Transaction } from "../sql/rows/database.ts";
import { type Contents, copyRows, type Insert, insertCopies } from "./copy.ts";
import { mark } from "./backup-mark.ts";
import { embeddedDatabase, sqliteDialect } from "../sqlite/embedded.ts";
import { isSqlite, pagesProblem, reasonOf } from "../sqlite/error-codes.ts";
import { migrate, stateIn, writeState } from "../sql/upgrade/migration.ts";
import { step } from "../../failpoints.ts";

const ownerOnly = 0o600;

/** What follows the name of a backup in that of its draft, which begins with a dot. */
export const draftEnd = /\.[0-9a-f]{16}\.new(-wal|-shm|-journal)?$/;

/** Gives a draft that is on disk its name. EEXIST if another file has it. */
export type Naming = (draft: string, file: string) => Promise<void>;

export interface BackupOptions {
  named?: Naming;
  /** Called with the number of rows written so far. */
  copied?: ((rows: number) => void) | undefined;
}

/** `file` must not exist. CONFLICT where it does, STORE_UNAVAILABLE where it cannot be written. */
export async function writeBackup(
  query: Query,
  file: string,
  { named = link, copied }: BackupOptions = {},
): Promise<Contents> {
  if (existsSync(file)) throw present(file);
  const draft = join(dirname(file), `.${basename(file)}.${randomBytes(8).toString("hex")}.new`);
  try {
    const draftFile = await open(draft, "wx", ownerOnly);
    await draftFile.close();
    const onDraft = <T>(work: Promise<T>) => work.catch((error) => Promise.reject(ofBackup(error, file)));
    const contents = await fill(draft, query, { onDraft, copied });
    step("backup.drafted");
    await onDraft(verify(draft, contents));
    await synced(open(draft, "r+"));
    step("backup.synced");
    await named(draft, file);
    step("backup.named");
    await syncDirectory(dirname(file));
    step("backup.settled");
    return contents;
  } catch (error) {
    throw translated(error, file);
  } finally {
    for (const suffix of ["", "-wal", "-shm", "-journal"]) await unlink(draft + suffix).catch(() => {});
  }
}

interface Filling extends Pick<BackupOptions, "copied"> {
  onDraft<T>(work: Promise<T>): Promise<T>;
}

async function fill(draft: string, query: Query, { onDraft, copied }: Filling): Promise<Contents> {
  const db = embeddedDatabase({ file: draft, soon: setImmediate, time: realTime });
  try {
    // Nobody relies on the draft before all of it is synced: until then no commit waits for the disk.
    for (const setting of ["journal_mode = memory", "synchronous = off", "cache_size = -65536"])
      await onDraft(db.read((own) => own(`pragma ${setting}`)));
    const { minReader } = (await stateIn(query))!;
    await onDraft(db.write((tx) => makeTables(tx, minReader)));
    const insert: Insert = (table, rows) => onDraft(db.write((tx) => insertCopies(tx.query, table, rows)));
    const contents = await copyRows(query, insert, { copied });
    await onDraft(db.read((own) => mark(own, realTime.now())));
    await onDraft(db.read((own) => own("pragma journal_mode = delete")));
    return contents;
  } finally {
    await db.close();
  }
}

/** The backup is for the releases that the store is for. The next release reads every row of one that is finished. */
async function makeTables(tx: Transaction, minReader: number): Promise<void> {
  await migrate(tx, sqliteDialect);
  await writeState(tx.query, { ...(await stateIn(tx.query))!, minReader });
}

/** Opens what was written anew, and counts. */
async function verify(draft: string, { rows }: Contents): Promise<void> {
  const db = embeddedDatabase({ file: draft, readOnly: true, soon: setImmediate, time: realTime });
  try {
    const isAsWritten = await db.read(async (query) => {
      if ((await pagesProblem(query)) !== undefined) return false;
      for (const [table, written] of Object.entries(rows)) {
        const [counted] = await query(`select count(*) as count from ${table}`);
        if (counted?.count !== written) return false;
      }
      return true;
    });
    if (isAsWritten) return;
    throw new KmsError("DATA_LOSS", "the backup does not read as it was written: see to the disk, and try again");
  } finally {
    await db.close();
  }
}

async function synced(opening: Promise<FileHandle>): Promise<void> {
  const file = await opening;
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  if (process.platform !== "win32") await synced(open(path, "r")); // directories cannot be opened there
}

function present(file: string): KmsError {
  return new KmsError("CONFLICT", `${file} exists and is not overwritten; name a new file`);
}

/** An error of the draft's database, which says that the store failed: it is the disk of the backup that is full, say. */
function ofBackup(error: unknown, file: string): unknown {
  const { cause } = error as Error;
  if (!isSqlite(cause)) return error;
  return new KmsError("STORE_UNAVAILABLE", `the backup ${file} cannot be written: ${reasonOf(cause)}`, { cause });
}

function translated(error: unknown, file: string): unknown {
  const { syscall, code } = error as NodeJS.ErrnoException;
  if (syscall === undefined) return error;
  if (code === "EEXIST") return present(file);
  return new KmsError("STORE_UNAVAILABLE", `${file} cannot be written (${code}); name a file in a writable directory`, {
    cause: error,
  });
}
