import { createSecretKey, randomBytes } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import { type RowValue, rowMac } from "../../../src/store/sql/rows/mac.ts";
import { postgresDatabase, postgresDialect } from "../../../src/store/postgres/open.ts";
import type { Database } from "../../../src/store/sql/rows/database.ts";
import { embeddedDatabase, sqliteDialect } from "../../../src/store/sqlite/embedded.ts";
import { insertRow, keyRow, valuesOf } from "../../../src/store/sql/rows/rows.ts";
import { type Dialect, laterColumns, type Migration, migrations, tables } from "../../../src/store/sql/rows/schema.ts";
import { sqlStore } from "../../../src/store/sql/store.ts";
import { migrate } from "../../../src/store/sql/upgrade/migration.ts";
import type { Store } from "../../../src/store/store.ts";
import { thrownBy } from "../../support/matchers.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";
import { pendingKey } from "../../support/store-fixture.ts";
import { contentOf, grown, newLog, tilesOf } from "../../support/log-store-fixture.ts";
import vectors from "../../vectors/store/rows.json" with { type: "json" };
import { realTime } from "../../../src/runtime/time.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

type Shown = string | number | null | { hex: string };
type StoredRow = Record<string, RowValue>;

const storeKeyOfRows = createSecretKey(Buffer.from(vectors.storeKey, "hex"));

/** Rows as a service of that schema version leaves them; another program made their HMACs. */
const storedRows = {
  version5: rowsOf(vectors.version5),
  version6: rowsOf(vectors.version6 as Record<string, Record<string, Shown>[]>),
};

const first: Migration = () => ["create table a (x integer)", "insert into a values (1)"];
const second: Migration = ({ text }) => [`alter table a add column y ${text}`, "update a set y = 'new'"];
const broken: Migration = () => ["insert into a values (2, 'half')", "insert into missing values (1)"];

describe("migrating a schema", () => {
  const make = () => embeddedDatabase({ time: realTime, file: ":memory:", soon: queueMicrotask });
  const to = (db: ReturnType<typeof make>, ...all: Migration[]) =>
    db.write((tx) => migrate(tx, sqliteDialect, { steps: all, oldest: 1 }));
  const rows = (db: ReturnType<typeof make>, text: string) => db.read((query) => query(text));

  it("goes forward from any version, once", async () => {
    const db = make();
    await to(db, first);
    await to(db, first, second);
    await to(db, first, second);
    expect(await rows(db, "select * from a")).toEqual([{ x: 1, y: "new" }]);
    expect(await rows(db, "select * from kms_schema")).toEqual([{ version: 2, min_reader: 1 }]);
  });

  it("leaves nothing of one that fails", async () => {
    const db = make();
    await to(db, first, second);
    expect(await thrownBy(() => to(db, first, second, broken))).toBeKmsError("DATA_LOSS", "no such table");
    expect(await rows(db, "select * from a")).toEqual([{ x: 1, y: "new" }]);
    expect(await rows(db, "select * from kms_schema")).toEqual([{ version: 2, min_reader: 1 }]);
  });

  it("leaves a newer one alone that is for this release too", async () => {
    const db = make();
    await to(db, first, second);
    await to(db, first);
    expect(await rows(db, "select * from kms_schema")).toEqual([{ version: 2, min_reader: 1 }]);
  });

  it("refuses one that is for newer releases alone, and leaves it as it is", async () => {
    const db = make();
    await to(db, first, second);
    await db.write(({ query }) => query("update kms_schema set min_reader = 2"));
    expect(await thrownBy(() => to(db, first))).toBeKmsError(
      "STORE_UNAVAILABLE",
      "the store is for releases that know schema version 2, and this one knows 1",
    );
    expect(await rows(db, "select * from kms_schema")).toEqual([{ version: 2, min_reader: 2 }]);
  });

  it("refuses one whose upgrade to the release before was not finished", async () => {
    const db = make();
    const steps = Array.from({ length: 10 }, (): Migration => () => []);
    await db.write((tx) => migrate(tx, sqliteDialect, { steps: steps.slice(0, 9), oldest: 8 }));
    expect(await rows(db, "select * from kms_schema")).toEqual([{ version: 9, min_reader: 8 }]);
    const next = { steps, oldest: 9 };
    expect(await thrownBy(() => db.write((tx) => migrate(tx, sqliteDialect, next)))).toBeKmsError(
      "STORE_UNAVAILABLE",
      "run that one's fluo-kms migrate --finish first",
    );
    await db.write(({ query }) => query("update kms_schema set min_reader = 9"));
    await db.write((tx) => migrate(tx, sqliteDialect, next));
    expect(await rows(db, "select * from kms_schema")).toEqual([{ version: 10, min_reader: 9 }]);
  });

  it("refuses one from before two releases could use one store, unless the first of those follows it", async () => {
    const db = make();
    const steps = Array.from({ length: 10 }, (): Migration => () => []);
    await db.write((tx) => migrate(tx, sqliteDialect, { steps: steps.slice(0, 7), oldest: 7 }));
    expect(await thrownBy(() => db.write((tx) => migrate(tx, sqliteDialect, { steps, oldest: 9 })))).toBeKmsError(
      "STORE_UNAVAILABLE",
      "the store has schema version 7, and this release follows the one of version 9",
    );
    expect(await rows(db, "select version from kms_schema")).toEqual([{ version: 7 }]);
    await db.write((tx) => migrate(tx, sqliteDialect, { steps: steps.slice(0, 9), oldest: 8 }));
    expect(await rows(db, "select * from kms_schema")).toEqual([{ version: 9, min_reader: 8 }]);
  });
});

const kinds: [name: string, open: () => Promise<Database>, dialect: Dialect][] = [
  ["SQLite", async () => embeddedDatabase({ time: realTime, file: ":memory:", soon: queueMicrotask }), sqliteDialect],
  ["PostgreSQL", async () => postgresDatabase({ url: await server.createDatabase() }, 2, realTime), postgresDialect],
];

describe("a store of schema version 3, which has no logs", () => {
  const before = migrations.slice(0, 3);

  it.each(kinds)("keeps its records and gets logs, in %s", async (name, open, dialect) => {
    const db = await open();
    await db.write((tx) => migrate(tx, dialect, { steps: before, oldest: 1 }));
    const mac = rowMac(createSecretKey(randomBytes(32)));
    const store = sqlStore(name, db, mac);
    const stored = { store_id: "", provider: "local", provider_key_id: "", wrapped: new Uint8Array(1), created_at: 0 };
    await db.write(({ query }) => insertRow(query, mac, "kms_store", { ...stored, id: 1, writers: 0 }));
    const record = pendingKey();
    const row = keyRow(record);
    await insertStored(db, "kms_keys", [{ ...row, mac: mac.of("kms_keys", valuesOf("kms_keys", row)) }]);
    const code = name === "SQLite" ? "DATA_LOSS" : "STORE_UNAVAILABLE";
    expect(await thrownBy(() => store.createLog(newLog()))).toBeKmsError(code);

    await db.write((tx) => migrate(tx, dialect));
    expect(await store.get("acme", record.keyId)).toMatchObject({ keyId: record.keyId, state: "PENDING" });
    await store.createLog(newLog());
    await store.appendLog(grown(newLog(), 300));
    expect((await contentOf(store, { tenantId: "acme", number: 1 }, 300)).tiles).toEqual(tilesOf(300));
    await store.close();
  });
});

describe("a store of schema version 5, whose audit rows name no rule", () => {
  const mac = rowMac(storeKeyOfRows);

  async function opened(
    name: string,
    open: () => Promise<Database>,
    dialect: Dialect,
    rows: typeof storedRows.version5,
  ) {
    const db = await open();
    await db.write((tx) => migrate(tx, dialect, { steps: migrations.slice(0, 5), oldest: 1 }));
    if (rows === storedRows.version6) await db.write((tx) => migrate(tx, dialect));
    for (const [table, some] of Object.entries(rows)) await insertStored(db, table, some);
    await db.write((tx) => migrate(tx, dialect));
    return { db, store: sqlStore(name, db, mac) };
  }

  /** Columns by their names, without the id. */
  async function contentsOf(db: Database, table: keyof typeof tables) {
    const columns = tables[table].join(", ");
    const rows = await db.read((query) => query(`select ${columns} from ${table} order by ${columns}`));
    const plain = (value: RowValue) => (value instanceof Uint8Array ? new Uint8Array(value) : value); // no Buffer
    return rows.map((row) => Object.fromEntries(Object.entries(row).map(([column, value]) => [column, plain(value)])));
  }

  async function verdictOn(store: Store) {
    const verdicts = [await store.verifyAudit(undefined, 100)];
    while (verdicts.at(-1)!.next !== undefined) verdicts.push(await store.verifyAudit(verdicts.at(-1)!.next, 100));
    return {
      problems: verdicts.flatMap(({ problems }) => problems),
      heads: verdicts.flatMap(({ heads }) => heads),
      events: verdicts.reduce((sum, { events }) => sum + events, 0),
    };
  }

  const [noted] = storedRows.version5.kms_audit_writers!;
  const notedHead = { writerId: noted!.writer_id, sequence: 4, mac: noted!.head };
  const [first, second] = storedRows.version5.kms_keys!.map(({ key_id }) => String(key_id));

  it.each(kinds)(
    "opens with every row as it was, and the head that was noted still verifies, in %s",
    async (name, ...on) => {
      const { db, store } = await opened(name, ...on, storedRows.version5);
      for (const table of ["kms_store", "kms_keys", "kms_audit", "kms_audit_writers"] as const) {
        const later: readonly string[] = table === "kms_keys" || table === "kms_audit" ? laterColumns[table] : [];
        const nothing = Object.fromEntries(later.map((column) => [column, null]));
        const before = storedRows.version5[table]!.map((row) => ({ ...row, ...nothing }));
        expect(await contentsOf(db, table)).toEqual(before.map((row) => expect.objectContaining(row)));
      }
      expect(await verdictOn(store)).toEqual({ problems: [], heads: [notedHead], events: 4 });
      expect(await store.get("acme", first!)).toMatchObject({ state: "ACTIVE", destruction: undefined });
      expect((await store.auditEvents({ limit: 10 })).map(({ rule }) => rule)).toEqual(Array(4).fill(undefined));
      await store.close();
    },
  );

  it.each(kinds)(
    "goes on with rows that name a rule, and those from before stay as they are, in %s",
    async (name, ...on) => {
      const { db, store } = await opened(name, ...on, storedRows.version5);
      const before = await contentsOf(db, "kms_audit");
      const present = (await store.get("acme", first!))!;
      const request = { at: new Date(7), rule: "ops", days: 7 };
      const next = { ...present, destruction: { by: "token:ann", request, confirmedBy: undefined } };
      const by = {
        actor: "token:ann",
        requestId: "",
        rule: "ops",
        action: "request_destruction",
        at: new Date(7),
      } as const;
      await store.update(present, next, by);
      expect(await store.get("acme", first!)).toEqual(next);
      expect(await verdictOn(store)).toMatchObject({ problems: [], events: 5 });
      expect((await verdictOn(store)).heads).toContainEqual(notedHead);
      expect((await contentsOf(db, "kms_audit")).filter(({ writer_id }) => writer_id === noted!.writer_id)).toEqual(
        before,
      );
      await store.close();
    },
  );

  it.each(kinds)("is, with what others say a later service writes, what this one reads, in %s", async (name, ...on) => {
    const { store } = await opened(name, ...on, storedRows.version6);
    expect(await verdictOn(store)).toMatchObject({ problems: [], events: 8 });
    expect((await store.auditEvents({ limit: 10, after: 4 })).map(({ rule }) => rule)).toEqual([
      ...["ops", "destroyers", undefined, "web"],
    ]);
    expect((await store.get("acme", first!))?.destruction).toEqual({
      by: "jwt:sso:ann",
      request: { at: new Date(1767323045679), rule: "ops", days: 7 },
      confirmedBy: undefined,
    });
    expect((await store.get("acme", second!))?.destruction).toEqual({
      by: "jwt:sso:ann",
      request: undefined,
      confirmedBy: "token:bob",
    });
    await store.close();
  });
});

it("a store of PostgreSQL that is up to date is found so by a user who may make no tables", async () => {
  const owner = new URL(await server.createDatabase());
  const db = postgresDatabase({ url: owner.href }, 1, realTime);
  await db.write((tx) => migrate(tx, postgresDialect));
  for (const statement of [
    "create role service login password 'service'",
    "grant select on kms_schema to service",
    "revoke create on schema public from public",
  ])
    await db.read((query) => query(statement));
  const service = Object.assign(new URL(owner), { username: "service", password: "service" });
  const its = postgresDatabase({ url: service.href }, 1, realTime);
  expect(await its.write((tx) => migrate(tx, postgresDialect))).toBe(migrations.length);
  await Promise.all([its.close(), db.close()]);
});

it("a migration of PostgreSQL gives up on a table that a backup holds, leaves nothing, and is made once that has ended", async () => {
  const url = await server.createDatabase();
  const db = postgresDatabase({ url }, 3, realTime);
  await db.write((tx) => migrate(tx, postgresDialect, { steps: migrations.slice(0, 5), oldest: 1 }));
  const version = async () => (await db.read((query) => query("select version from kms_schema")))[0];
  const read = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const backup = db.read(async (query) => {
    await query("begin isolation level repeatable read read only");
    await query("select count(*) from kms_audit");
    read.resolve();
    await ended.promise;
    await query("rollback");
  });
  await read.promise;
  const error = await thrownBy(() => db.write((tx) => migrate(tx, postgresDialect)));
  expect(error).toBeKmsError("STORE_UNAVAILABLE", "a table is held");
  expect(await version()).toEqual({ version: 5 });
  ended.resolve();
  await backup;
  await db.write((tx) => migrate(tx, postgresDialect));
  expect(await version()).toEqual({ version: migrations.length });
  await db.close();
});

function rowsOf(tables: Record<string, Record<string, Shown>[]>): Record<string, StoredRow[]> {
  const stored = (row: Record<string, Shown>) =>
    Object.fromEntries(Object.entries(row).map(([column, value]) => [column, bytesOrPlain(value)]));
  return Object.fromEntries(Object.entries(tables).map(([table, rows]) => [table, rows.map(stored)]));
}

function bytesOrPlain(value: Shown): RowValue {
  return typeof value === "object" && value !== null ? new Uint8Array(Buffer.from(value.hex, "hex")) : value;
}

/** Inserts the columns that are not null. */
async function insertStored(db: Database, table: string, rows: readonly StoredRow[]): Promise<void> {
  for (const row of rows) {
    const columns = Object.keys(row).filter((column) => row[column] !== null);
    const places = columns.map((_, index) => `?${index + 1}`);
    const text = `insert into ${table} (${columns.join(", ")}) values (${places.join(", ")})`;
    await db.write(({ query }) => query(text, ...columns.map((column) => row[column]!)));
  }
}
