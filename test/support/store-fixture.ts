/** Stores unlocked without a provider, and the database behind their back. */
import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { cpSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import type { RowValue } from "../../src/store/sql/rows/mac.ts";
import type { KeyRecord } from "../../src/store/key-record.ts";
import { openPostgres } from "../../src/store/postgres/open.ts";
import { openSqlite } from "../../src/store/sqlite/open.ts";
import type { LockedStore, Store } from "../../src/store/store.ts";
import type { SharedPostgres } from "./shared-postgres.ts";
import { realTime } from "../../src/runtime/time.ts";

export async function unlocked(locked: LockedStore, key: KeyObject = createSecretKey(randomBytes(32))): Promise<Store> {
  const wrapped = randomBytes(60);
  const storeId = randomBytes(16).toString("hex");
  const stored = { storeId, provider: "local", providerKeyId: "local:00", wrapped, createdAt: new Date() };
  await locked.insertStoreKey(stored, key);
  return locked.unlock(key);
}

export interface Backdoor {
  open(): Promise<LockedStore>;
  /** Runs a statement of whoever has the database and not the store key. Parameters are ?1, ?2 … */
  sql(text: string, ...values: RowValue[]): Promise<Record<string, RowValue>[]>;
}

/** With `like`, a copy of a store that nobody has open. */
export function sqliteBackdoor(like?: { file: string }): Backdoor & { file: string } {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-store-"));
  if (like !== undefined) cpSync(dirname(like.file), folder, { recursive: true });
  const file = join(folder, "kms.db");
  return {
    file,
    open: () => openSqlite({ name: "sqlite", file }, realTime),
    async sql(text, ...values) {
      const db = new DatabaseSync(file, { timeout: 5_000 });
      try {
        return db.prepare(text).all(...values) as Record<string, RowValue>[];
      } finally {
        db.close();
      }
    },
  };
}

const int8 = 20;
const types = {
  getTypeParser: (oid: number, format?: never) => (oid === int8 ? Number : pg.types.getTypeParser(oid, format)),
} as pg.CustomTypesConfig;

/** Those of the server that files share, or of one of the test's own. */
type Databases = Pick<SharedPostgres, "createDatabase"> & Partial<Pick<SharedPostgres, "createStoreDatabase">>;

export async function postgresBackdoor(server: Databases): Promise<Backdoor & { url: string }> {
  return postgresBackdoorOf(await (server.createStoreDatabase ?? server.createDatabase)());
}

export function postgresBackdoorOf(url: string): Backdoor & { url: string } {
  const pool = new pg.Pool({ connectionString: url, max: 1, allowExitOnIdle: true, types });
  pool.on("error", () => {}); // the server ends with the tests
  return {
    url,
    open: () => openPostgres({ name: "postgres", url, maxConnections: 4 }, realTime),
    sql: async (text, ...values) => (await pool.query(text.replaceAll(/\?(\d+)/g, "$$$1"), values)).rows,
  };
}

/** One of each store in a database, by name. */
export function bothBackdoors(server: Databases): [name: string, make: () => Promise<Backdoor>][] {
  return [
    ["sqlite", async () => sqliteBackdoor()],
    ["postgres", () => postgresBackdoor(server)],
  ];
}

/** A row as it is now, and what makes another of it, or puts it back. */
export async function keptRow({ sql }: Pick<Backdoor, "sql">, table: string, where = "1 = 1") {
  const [row] = (await sql(`select * from ${table} where ${where}`)) as [Readonly<Record<string, RowValue>>];
  async function put(changes: Readonly<Record<string, RowValue>>, at = where): Promise<void> {
    const columns = Object.keys(changes);
    const set = columns.map((column, index) => `${column} = ?${index + 1}`).join(", ");
    await sql(`update ${table} set ${set} where ${at}`, ...columns.map((column) => changes[column]!));
  }
  return { row, put, putBack: () => put(row) };
}

export function pendingKey(changes: Partial<KeyRecord> = {}): KeyRecord {
  return {
    tenantId: "acme",
    purpose: "data",
    version: 0,
    keyId: randomBytes(16).toString("hex"),
    state: "PENDING",
    provider: "local",
    providerKeyId: "local:00",
    wrapped: randomBytes(60),
    publicKey: new Uint8Array(),
    createdAt: new Date(),
    activatedAt: undefined,
    retiredAt: undefined,
    compromisedAt: undefined,
    destroyAt: undefined,
    destroyWait: undefined,
    previousState: undefined,
    destruction: undefined,
    ...changes,
  };
}

/** An ACTIVE key, as far as the store is concerned. */
export async function addKey(store: Store, changes: Partial<KeyRecord> = {}): Promise<KeyRecord> {
  const record = pendingKey(changes);
  await store.insertPending(record);
  const { tenantId, purpose, keyId } = record;
  const present = await store.active(tenantId, purpose);
  const expect = present ? { active: present.keyId } : "no-active";
  return store.activate({ tenantId, purpose, keyId, expect, at: new Date(), by: { actor: "ann", requestId: "" } });
}
