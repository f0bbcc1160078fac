/** The tables of a SQLite file. A service that uses the file goes on meanwhile: readers and the one writer do not wait for each other. */
import { accessSync, chmodSync, constants, copyFileSync, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { KmsError } from "../errors.ts";
import { embeddedDatabase, sqliteDialect } from "./sql-embedded.ts";
import { migrate, migrations } from "./sql-schema.ts";
import { schemaVersion, sqlTables, type TableDialect, type Tables } from "./sql-tables.ts";
import type { SqliteSettings } from "./sqlite.ts";
import { prepareFile } from "./sqlite-file.ts";

const dialect: TableDialect = {
  beginSnapshot: "begin",
  hasSchema: "select count(*) as present from sqlite_schema where name = 'kms_schema'",
};

/** To read: nothing is written, nor made. STORE_UNAVAILABLE where there is no such store. */
export async function openSqliteTables({ file }: SqliteSettings): Promise<Tables> {
  if (!existsSync(file)) throw new KmsError("STORE_UNAVAILABLE", `there is no SQLite store at ${file}`);
  const db = embeddedDatabase({ file: readOnlyName(file), readOnly: true, soon: setImmediate });
  return closingUnless(db, sqlTables("sqlite", db, dialect));
}

/** To fill: the file and its tables are made if need be. */
export async function makeSqliteTables({ file }: SqliteSettings): Promise<Tables> {
  prepareFile(file);
  const db = embeddedDatabase({ file, soon: setImmediate });
  const made = db.write((tx) => migrate(tx, sqliteDialect)).then(() => sqlTables("sqlite", db, dialect));
  return closingUnless(db, made);
}

/** As `openSqliteTables`; one of an older schema is brought up to date in a copy, which goes when it is closed. */
export async function openSqliteBackup(settings: SqliteSettings): Promise<Tables> {
  if (!(await isOlder(settings.file))) return openSqliteTables(settings);
  const directory = mkdtempSync(join(tmpdir(), "fluo-kms-")); // for its owner alone
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    const copy = join(directory, "backup.db");
    for (const suffix of ["", "-wal"].filter((each) => existsSync(settings.file + each))) {
      copyFileSync(settings.file + suffix, copy + suffix);
      chmodSync(copy + suffix, 0o600);
    }
    const tables = await makeSqliteTables({ name: "sqlite", file: copy });
    return { ...tables, close: () => tables.close().finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}

async function isOlder(file: string): Promise<boolean> {
  if (!existsSync(file)) return false;
  const db = embeddedDatabase({ file: readOnlyName(file), readOnly: true, soon: setImmediate });
  try {
    const version = await db.read((query) => schemaVersion(query, dialect.hasSchema));
    return version > 0 && version < migrations.length;
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

/**
 * Readers of a WAL database share memory in a file beside it. Where that cannot be made, and no log says that somebody writes, the file is
 * read as one that cannot change.
 */
function readOnlyName(file: string): string {
  const log = statSync(`${file}-wal`, { throwIfNoEntry: false });
  if ((log?.size ?? 0) > 0 || isWritable(dirname(file))) return file;
  return `${pathToFileURL(file).href}?immutable=1`;
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
