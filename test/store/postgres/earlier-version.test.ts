/**
 * A replica of version 0.1.0 with schema 6 that still runs beside this one: the statements by which it destroys and rotates, as it makes them.
 * `npm run test:versions` has the same with the replica itself.
 */
import { randomBytes } from "node:crypto";
import { afterAll, beforeEach, expect, it } from "vitest";
import type { KeyRecord } from "../../../src/store/key-record.ts";
import type { RowValue } from "../../../src/store/sql/rows/mac.ts";
import { keyRow } from "../../../src/store/sql/rows/rows.ts";
import type { Store } from "../../../src/store/store.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";
import { msFromNow } from "../../support/from-now.ts";
import { addKey, type Backdoor, postgresBackdoor, sqliteBackdoor, unlocked } from "../../support/store-fixture.ts";
import { wordsIn } from "../../support/words.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

/** Columns of keys before schema 7, in the order of an update. */
const columns = wordsIn(`
  tenant_id purpose version state provider provider_key_id wrapped public_key created_at activated_at retired_at
  compromised_at destroy_at previous_state destroy_by destroy_confirmed_by destroy_rule destroy_requested_at
  destroy_days mac
`);
const refused = /an earlier version of the service may not do this any more: stop it/;

let door: Backdoor;
let store: Store;
beforeEach(async () => {
  door = await postgresBackdoor(server);
  store = await unlocked(await door.open());
  return () => store.close();
});

async function scheduled(): Promise<KeyRecord> {
  const key = await addKey(store);
  const next: KeyRecord = { ...key, state: "DESTROY_SCHEDULED", destroyAt: new Date(1) };
  const by = { actor: "ann", requestId: "", action: "schedule_destruction", at: new Date() } as const;
  await store.update(key, next, by);
  return next;
}

/** The HMAC is looked at by readers alone. */
function update(record: KeyRecord): Promise<unknown> {
  const row: Record<string, RowValue> = { ...keyRow(record), mac: randomBytes(32) };
  const set = columns.map((column, index) => `${column} = ?${index + 2}`).join(", ");
  const values = columns.map((column) => row[column]!);
  return door.sql(`update kms_keys set ${set} where key_id = ?1 returning key_id`, record.keyId, ...values);
}

it("destroys no key, and hears why", async () => {
  const key = await scheduled();
  await expect(update({ ...key, state: "DESTROYED", wrapped: new Uint8Array() })).rejects.toThrow(refused);
  expect(await store.get("acme", key.keyId)).toEqual(key);
});

it("may do everything else with a key", async () => {
  const key = await scheduled();
  await update({ ...key, state: "DISABLED" });
  const [row] = await door.sql("select state from kms_keys where key_id = ?1", key.keyId);
  expect(row).toEqual({ state: "DISABLED" });
});

it.each(["rotation", "maintenance"])("gets no lease %s, and hears why", async (name) => {
  const lease = () =>
    door.sql(
      "insert into kms_leases (name, holder, generation, expires_at, finished_at, mac) values (?1, ?2, ?3, ?4, ?5, ?6)",
      ...[name, "earlier", 1, msFromNow(60_000), null, randomBytes(32)],
    );
  await expect(lease()).rejects.toThrow(refused);
  expect(await door.sql("select * from kms_leases")).toEqual([]);
});

it("destroys no key in SQLite either", async () => {
  await store.close();
  door = sqliteBackdoor();
  store = await unlocked(await door.open());
  const key = await scheduled();
  await expect(update({ ...key, state: "DESTROYED", wrapped: new Uint8Array() })).rejects.toThrow(refused);
  expect(await store.get("acme", key.keyId)).toEqual(key);
});
