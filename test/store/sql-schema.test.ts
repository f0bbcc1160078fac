import { describe, expect, it } from "vitest";
import { embeddedDatabase, sqliteDialect } from "../../src/store/sql-embedded.ts";
import { type Migration, migrate } from "../../src/store/sql-schema.ts";
import { thrownBy } from "../matchers.ts";

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
