import { createSecretKey, randomBytes } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import { rowMac } from "../../../src/store/sql/row-mac.ts";
import { postgresDatabase, postgresDialect } from "../../../src/store/postgres/open.ts";
import type { Database } from "../../../src/store/sql/database.ts";
import { embeddedDatabase, sqliteDialect } from "../../../src/store/sqlite/embedded.ts";
import { insertRow } from "../../../src/store/sql/rows.ts";
import { type Dialect, type Migration, migrate, migrations, rowVersion } from "../../../src/store/sql/schema.ts";
import { sqlStore } from "../../../src/store/sql/store.ts";
import { thrownBy } from "../../support/matchers.ts";
import { startPostgres } from "../../support/postgres-server.ts";
import { pendingKey } from "../../support/store-fixture.ts";
import { contentOf, grown, newLog, tilesOf } from "../../support/log-store-fixture.ts";

const server = await startPostgres();
afterAll(() => server.close());

const first: Migration = () => ["create table a (x integer)", "insert into a values (1)"];
const second: Migration = ({ text }) => [`alter table a add column y ${text}`, "update a set y = 'new'"];
const broken: Migration = () => ["insert into a values (2, 'half')", "insert into missing values (1)"];

describe("migrating a schema", () => {
  const make = () => embeddedDatabase({ file: ":memory:", soon: queueMicrotask });
  const to = (db: ReturnType<typeof make>, ...all: Migration[]) => db.write((tx) => migrate(tx, sqliteDialect, all));
  const rows = (db: ReturnType<typeof make>, text: string) => db.read((query) => query(text));

  it("goes forward from any version, once", async () => {
    const db = make();
    await to(db, first);
    await to(db, first, second);
    await to(db, first, second);
    expect(await rows(db, "select * from a")).toEqual([{ x: 1, y: "new" }]);
    expect(await rows(db, "select * from kms_schema")).toEqual([{ version: 2 }]);
  });

  it("leaves nothing of one that fails", async () => {
    const db = make();
    await to(db, first, second);
    expect(await thrownBy(() => to(db, first, second, broken))).toBeKmsError("STORE_UNAVAILABLE", "failed");
    expect(await rows(db, "select * from a")).toEqual([{ x: 1, y: "new" }]);
    expect(await rows(db, "select * from kms_schema")).toEqual([{ version: 2 }]);
  });

  it("refuses a newer one, and leaves it alone", async () => {
    const db = make();
    await to(db, first, second);
    expect(await thrownBy(() => to(db, first))).toBeKmsError("STORE_UNAVAILABLE", "schema version 2");
    expect(await rows(db, "select * from kms_schema")).toEqual([{ version: 2 }]);
  });
});

describe("a store of schema version 3, which has no logs", () => {
  const before = migrations.slice(0, 3);

  const kinds: [name: string, open: () => Promise<Database>, dialect: Dialect][] = [
    ["SQLite", async () => embeddedDatabase({ file: ":memory:", soon: queueMicrotask }), sqliteDialect],
    ["PostgreSQL", async () => postgresDatabase(await server.createDatabase(), 2), postgresDialect],
  ];

  it.each(kinds)("keeps its records and gets logs, in %s", async (name, open, dialect) => {
    const db = await open();
    await db.write((tx) => migrate(tx, dialect, before));
    const mac = rowMac(createSecretKey(randomBytes(32)), rowVersion);
    const store = sqlStore(name, db, mac);
    const stored = { store_id: "", provider: "local", provider_key_id: "", wrapped: new Uint8Array(1), created_at: 0 };
    await db.write(({ query }) => insertRow(query, mac, "kms_store", { ...stored, id: 1, writers: 0 }));
    const record = pendingKey();
    await store.insertPending(record);
    expect(await thrownBy(() => store.createLog(newLog()))).toBeKmsError("STORE_UNAVAILABLE");

    await db.write((tx) => migrate(tx, dialect));
    expect(await store.get("acme", record.keyId)).toMatchObject({ keyId: record.keyId, state: "PENDING" });
    await store.createLog(newLog());
    await store.appendLog(grown(newLog(), 300));
    expect((await contentOf(store, { tenantId: "acme", number: 1 }, 300)).tiles).toEqual(tilesOf(300));
    await store.close();
  });
});
