/** The stores by name. Each is imported when it is chosen. */
import type { Time } from "../runtime/time.ts";
import { invalidField } from "../errors.ts";
import type { MemorySettings } from "./sqlite/memory.ts";
import type { ExaminedServer } from "./postgres/examined-server.ts";
import type { PostgresSettings } from "./postgres/open.ts";
import type { StoredStore } from "./offline/stored.ts";
import type { Tables } from "./offline/tables.ts";
import type { SqliteSettings } from "./sqlite/open.ts";
import type { Migrated } from "./sql/upgrade/migration.ts";
import type { LockedStore } from "./store.ts";

export type { SqliteSettings };
export type StoreSettings = MemorySettings | SqliteSettings | PostgresSettings;

interface Openers<Settings> {
  store(settings: Settings, time: Time): Promise<LockedStore>;
  /** Of a store that exists, to be read. */
  tables(settings: Settings): Promise<Tables>;
  /** Of a store that is made if need be, to be filled. */
  emptyTables(settings: Settings): Promise<Tables>;
  migrate(settings: Settings, held: () => void): Promise<Migrated>;
}

const openers: { [Name in StoreSettings["name"]]: Openers<Extract<StoreSettings, { name: Name }>> } = {
  memory: {
    store: async (_settings, time) => (await import("./sqlite/memory.ts")).openMemory(time),
    tables: keptNowhere,
    emptyTables: keptNowhere,
    migrate: keptNowhere,
  },
  sqlite: {
    store: async (settings, time) => (await import("./sqlite/open.ts")).openSqlite(settings, time),
    tables: async (settings) => (await import("./offline/sqlite.ts")).openSqliteTables(settings),
    emptyTables: async (settings) => (await import("./offline/sqlite.ts")).makeSqliteTables(settings),
    migrate: async (settings) => (await import("./offline/sqlite.ts")).migrateSqlite(settings),
  },
  postgres: {
    store: async (settings, time) => (await import("./postgres/open.ts")).openPostgres(settings, time),
    tables: async (settings) => (await import("./offline/postgres.ts")).openPostgresTables(settings),
    emptyTables: async (settings) => (await import("./offline/postgres.ts")).makePostgresTables(settings),
    migrate: async (settings, held) => (await import("./offline/postgres.ts")).migratePostgres(settings, held),
  },
};

/** Opens the store that `settings.name` names and brings its schema up to date. STORE_UNAVAILABLE where that cannot be. */
export async function openStore(settings: StoreSettings, time: Time): Promise<LockedStore> {
  return openersOf(settings).store(settings, time);
}

/**
 * Opens the tables of a store below its contract, to read them while the service may be using it: nothing is written. STORE_UNAVAILABLE
 * where there is no such store; INVALID_ARGUMENT for the one in memory.
 */
export async function openTables(settings: StoreSettings): Promise<Tables> {
  return openersOf(settings).tables(settings);
}

/** Runs `work` on a SQLite store as it lies on the disk, see offline/stored.ts. */
export async function whileStored<T>(settings: SqliteSettings, work: (stored: StoredStore) => Promise<T>): Promise<T> {
  return (await import("./offline/stored.ts")).whileStored(settings, work);
}

/** The same of a backup, which may be one of an older version. */
export async function openBackup(file: string): Promise<Tables> {
  return (await import("./offline/sqlite.ts")).openSqliteBackup({ name: "sqlite", file });
}

/** The same to fill them, making them if need be. */
export async function openTablesToFill(settings: StoreSettings): Promise<Tables> {
  return openersOf(settings).emptyTables(settings);
}

/**
 * Brings a store to this release, making it if need be. `held` is told of each try that met a table which others hold. Throws as `openTables`
 * does; STORE_UNAVAILABLE for a store that is not for this release too.
 */
export async function migrateStore(settings: StoreSettings, held: () => void): Promise<Migrated> {
  return openersOf(settings).migrate(settings, held);
}

/** Looks how the database server of a store is set up, writing nothing. Undefined for a store without one; STORE_UNAVAILABLE without an answer. */
export async function examinedServer(settings: StoreSettings): Promise<ExaminedServer | undefined> {
  if (settings.name !== "postgres") return undefined;
  return (await import("./postgres/examined-server.ts")).examineServer(settings);
}

function openersOf(settings: StoreSettings): Openers<StoreSettings> {
  if (!Object.hasOwn(openers, settings.name)) {
    throw invalidField("fluo.kms.store", `must be one of ${Object.keys(openers).join(", ")}, not ${settings.name}`);
  }
  return openers[settings.name] as Openers<StoreSettings>;
}

async function keptNowhere(): Promise<never> {
  throw invalidField(
    "fluo.kms.store",
    "is memory, which ends with its process and cannot be opened by another; set sqlite or postgres, as the service has it",
  );
}
