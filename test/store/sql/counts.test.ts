/** Counting in steps: nothing is missed or counted twice at their edges, and others get their turn between them. */
import { describe, expect, it } from "vitest";
import type { KeyState, Purpose } from "../../../src/store/key-record.ts";
import { insertCopies } from "../../../src/store/offline/copy.ts";
import { countKeys } from "../../../src/store/sql/counts.ts";
import { embeddedDatabase, sqliteDialect } from "../../../src/store/sqlite/embedded.ts";
import { migrate } from "../../../src/store/sql/upgrade/migration.ts";
import { realTime } from "../../../src/runtime/time.ts";

type Key = [tenantId: string, purpose: Purpose, version: number, state: KeyState];

const keys: Key[] = [
  ["a", "data", 1, "RETIRED"],
  ["a", "data", 2, "RETIRED"],
  ["a", "data", 3, "RETIRED"],
  ["a", "data", 4, "ACTIVE"],
  ["a", "signing", 1, "RETIRED"],
  ["a", "signing", 2, "ACTIVE"],
  ["b", "data", 1, "DISABLED"],
  ["b", "data", 0, "PENDING"],
  ["b", "data", 0, "PENDING"],
  ["c", "signing", 1, "ACTIVE"],
  ["c", "signing", 0, "PENDING"],
  ["zzz", "data", 1, "RETIRED"],
  ["zzz", "data", 2, "ACTIVE"],
];

const counted = {
  data: { PENDING: 2, ACTIVE: 2, RETIRED: 4, DISABLED: 1 },
  signing: { PENDING: 1, ACTIVE: 2, RETIRED: 1 },
};

async function database() {
  const db = embeddedDatabase({ time: realTime, file: ":memory:", soon: setImmediate });
  await db.write(async (tx) => {
    await migrate(tx, sqliteDialect);
    const bytes = new Uint8Array();
    const row = ([tenant_id, purpose, version, state]: Key, index: number) => {
      const more = { provider: "local", provider_key_id: "", wrapped: bytes, public_key: bytes, created_at: 0 };
      return { ...more, key_id: `${index}`, tenant_id, purpose, version, state, activated_at: index, mac: bytes };
    };
    await insertCopies(tx.query, "kms_keys", keys.map(row));
  });
  return db;
}

describe("counting keys", () => {
  it("gives the same in steps of any size", async () => {
    const db = await database();
    for (const stepSize of [1, 2, 3, 5, 100]) expect((await countKeys(db, stepSize)).byPurpose).toEqual(counted);
    expect((await countKeys(db)).oldestActiveAt).toEqual(new Date(3));
    await db.close();
  });

  it("lets other calls through between its steps", async () => {
    const db = await database();
    const ended: string[] = [];
    const counting = countKeys(db, 1).then(() => ended.push("counted"));
    await new Promise(setImmediate); // it has begun
    await db.write((tx) => tx.query("update kms_keys set provider = 'other'")).then(() => ended.push("written"));
    await counting;
    expect(ended).toEqual(["written", "counted"]);
    await db.close();
  });

  it("finds nothing in an empty store", async () => {
    const db = embeddedDatabase({ time: realTime, file: ":memory:", soon: setImmediate });
    await db.write((tx) => migrate(tx, sqliteDialect));
    const nothing = { byPurpose: { data: {}, signing: {} }, oldestActiveAt: undefined, lastRotationAt: undefined };
    expect(await countKeys(db)).toEqual(nothing);
    await db.close();
  });
});
