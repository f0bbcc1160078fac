import { createSecretKey, randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { inspect } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { rowMac } from "../../../src/store/sql/rows/mac.ts";
import { openPostgres, postgresDatabase } from "../../../src/store/postgres/open.ts";
import { neededRights } from "../../../src/store/postgres/write-access.ts";
import type { Database } from "../../../src/store/sql/rows/database.ts";
import { lockedSqlStore, sqlStore } from "../../../src/store/sql/store.ts";
import { thrownBy } from "../../support/matchers.ts";
import { createRole } from "../../support/postgres-role.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";
import { logStoreContract } from "../../support/log-store-contract.ts";
import { storeContract } from "../../support/store-contract.ts";
import { addKey, postgresBackdoor, postgresBackdoorOf, unlocked } from "../../support/store-fixture.ts";
import { realTime } from "../../../src/runtime/time.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

const contracts = await postgresBackdoor(server);
const [{ names }] = (await contracts.sql(
  "select string_agg(tablename, ', ') as names from pg_tables where schemaname = 'public' and tablename <> 'kms_schema'",
)) as [{ names: string }];

const grants = Object.entries(neededRights).map(([table, rights]) => `grant ${rights.join(", ")} on ${table}`);
const user = await createRole(contracts.url, (name) => grants.map((grant) => `${grant} to ${name}`));

const userDoor = postgresBackdoorOf(user.url);

/**
 * A store as it is when it is new, for a user with no more than the rights that a start demands. Every case of a
 * contract closes its own, so all have one database.
 */
async function emptied() {
  await contracts.sql(`truncate ${names} restart identity`);
  return userDoor.open();
}

storeContract("postgres", emptied);
logStoreContract("postgres", emptied);

describe("a PostgreSQL store", () => {
  const open = async (key = createSecretKey(randomBytes(32))) => {
    const door = await postgresBackdoor(server);
    return { ...door, key, store: await unlocked(await door.open(), key) };
  };

  it("tells other replicas what changed as it changes, and itself nothing", async () => {
    const { open: again, key, store } = await open();
    const other = await (await again()).unlock(key);
    const [here, there]: unknown[][] = [[], []];
    store.watch((change) => here!.push(change));
    other.watch((change) => there!.push(change));
    await expect.poll(() => [here, there]).toEqual([["any"], ["any"]]); // both listen
    const { keyId } = await addKey(store);
    await expect.poll(() => there).toEqual(["any", { tenantId: "acme", keyId, state: "ACTIVE" }]);
    expect(here).toEqual(["any"]);
    await Promise.all([store.close(), other.close()]);
  });

  it("is opened by ten at once, when it is new too", async () => {
    const url = await server.createDatabase();
    const again = () => openPostgres({ name: "postgres", url, maxConnections: 4 }, realTime);
    const stores = await Promise.all(Array.from({ length: 10 }, () => again()));
    const keys = await Promise.all(
      stores.map(async (store, index) => {
        const wrapped = randomBytes(60);
        const stored = {
          storeId: `${index}`,
          provider: "local",
          providerKeyId: "local:00",
          wrapped,
          createdAt: new Date(),
        };
        await store.insertStoreKey(stored, createSecretKey(randomBytes(32)));
        return (await store.storeKey())?.storeId;
      }),
    );
    expect(new Set(keys).size).toBe(1);
    await Promise.all(stores.map((store) => store.close()));
  });

  it("answers long reads while writes have all other connections", async () => {
    const { url, sql, store } = await open();
    await addKey(store);
    const other = postgresDatabase({ url }, 1, realTime);
    const [held, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const holding = other.write(async ({ query }) => {
      await query("lock table kms_leases in access exclusive mode");
      held.resolve();
      await over.promise;
    });
    await held.promise;
    const writes = Array.from({ length: 8 }, (_, n) => store.lease(`lease/${n}`, "here", 1_000));
    await expect.poll(() => lockedBy(sql)).toBe(4);
    expect((await store.counts()).byPurpose.data).toEqual({ ACTIVE: 1 });
    expect(await store.listKeys({ limit: 9 })).toHaveLength(1);
    expect((await store.verifyAudit(undefined, 9)).problems).toEqual([]);
    expect(await lockedBy(sql)).toBe(4);
    over.resolve();
    await Promise.allSettled([holding, ...writes]); // the lock may be held too long for a slow machine
    await Promise.all([other.close(), store.close()]);
  });

  it("counts calls that wait for a connection, and connections: those for long reads too", async () => {
    const { url, sql, store } = await open();
    const max = 4 + 2;
    await store.counts();
    expect(store.load?.()).toMatchObject({ waiting: 0, connections: { used: 0, max } });
    expect(store.load?.().connections?.idle).toBeGreaterThanOrEqual(1);
    const other = postgresDatabase({ url }, 1, realTime);
    const [held, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const holding = other.write(async ({ query }) => {
      await query("lock table kms_leases, kms_keys in access exclusive mode");
      held.resolve();
      await over.promise;
    });
    await held.promise;
    const writes = Array.from({ length: 7 }, (_, n) => store.lease(`lease/${n}`, "here", 1_000));
    const reads = Array.from({ length: 5 }, () => store.counts());
    await expect.poll(() => lockedBy(sql)).toBe(max);
    expect(store.load?.()).toEqual({ waiting: 3 + 3, connections: { used: max, idle: 0, max } });
    over.resolve();
    await Promise.allSettled([holding, ...writes, ...reads]); // the lock may be held too long for a slow machine
    expect(store.load?.()).toMatchObject({ waiting: 0, connections: { used: 0 } });
    await Promise.all([other.close(), store.close()]);
  });

  it("refuses a store that is for newer releases", async () => {
    const { open: again, sql, store } = await open();
    await store.close();
    await sql("update kms_schema set version = version + 1, min_reader = version + 1");
    expect(await thrownBy(again)).toBeKmsError("STORE_UNAVAILABLE", "use the newer release");
  });

  it("finds what is due, what is active and what is born by an index", async () => {
    const { sql, store } = await open();
    const plan = async (text: string) =>
      (await sql(`explain ${text}`)).map((row) => String(row["QUERY PLAN"])).join("\n");
    await sql("set enable_seqscan = off"); // an empty table is always scanned
    expect(
      await plan("select * from kms_keys where state = 'ACTIVE' and activated_at < 5 order by activated_at limit 9"),
    ).toContain("kms_keys_due");
    await store.close();
  });

  it("fails the one transaction whose connection is cut between two statements, and goes on with another connection", async () => {
    const { url, sql, store } = await open();
    const db = postgresDatabase({ url }, 1, realTime);
    const error = await thrownBy(() =>
      db.write(async ({ query }) => {
        const [row] = await query("select pg_backend_pid() as pid");
        await sql("select pg_terminate_backend(?1, 5000)", row!.pid!);
        await delay(50); // until the news of it has arrived here
        await query("select 1 as one");
      }),
    );
    expect(error).toBeKmsError("STORE_UNAVAILABLE");
    expect(await db.read((query) => query("select 1 as one"))).toEqual([{ one: 1 }]);
    await Promise.all([db.close(), store.close()]);
  });

  it("does not take for lost what others made while it looked", async () => {
    const { url, open: again, sql } = await postgresBackdoor(server);
    const key = createSecretKey(randomBytes(32));
    const store = await again();
    const { db, afterFirstRead } = interrupted(postgresDatabase({ url }, 2, realTime));

    afterFirstRead(async () => {
      await addKey(await unlocked(store, key), { tenantId: "one" });
    });
    expect(await lockedSqlStore("postgres", db).storeKey()).toMatchObject({ provider: "local" });

    const late = sqlStore("postgres", db, rowMac(key));
    const others = await store.unlock(key);
    afterFirstRead(() => addKey(others, { tenantId: "two" }));
    expect(await late.list("two", "data")).toMatchObject([{ tenantId: "two", version: 1, state: "ACTIVE" }]);
    afterFirstRead(() => addKey(others, { tenantId: "three" }));
    expect(await late.lastVersion("three", "data")).toBe(1);

    await sql("delete from kms_keys");
    expect(await thrownBy(() => late.list("two", "data"))).toBeKmsError("DATA_LOSS");
    await sql("delete from kms_store");
    expect(await thrownBy(() => lockedSqlStore("postgres", db).storeKey())).toBeKmsError("DATA_LOSS");
    await Promise.all([db.close(), store.close()]);
  });

  it("does not activate a key whose pending record another deletes meanwhile", async () => {
    const { sql, store } = await open();
    const first = await addKey(store);
    const keyId = randomBytes(16).toString("hex");
    await store.insertPending({ ...first, keyId });
    // Deletes the record when it is about to be updated: between the look at it and the write.
    await sql(`create function lose() returns trigger language plpgsql as $$ begin return null; end $$`);
    await sql(
      `create trigger lose before update on kms_keys for each row when (old.state = 'PENDING') execute function lose()`,
    );
    const by = { actor: "ann", requestId: "" };
    const activation = { ...first, keyId, expect: { active: first.keyId }, at: new Date(), by };
    expect(await thrownBy(() => store.activate(activation))).toBeKmsError("CONFLICT");
    expect(await store.active("acme", "data")).toEqual(first);
    expect((await store.auditEvents({ limit: 9 })).map(({ action }) => action)).toEqual(["create"]);
    await store.close();
  });

  it("does not show its password, whatever fails", async () => {
    const url = "postgres://ann:s3cret@127.0.0.1:1/none";
    const error = await thrownBy(() => openPostgres({ name: "postgres", url, maxConnections: 1 }, realTime));
    expect(error).toBeKmsError("STORE_UNAVAILABLE", "ECONNREFUSED");
    expect(inspect(error, { depth: 9 })).not.toContain("s3cret");
  });
});

/** How many statements wait for a lock. */
async function lockedBy(sql: (text: string) => Promise<Record<string, unknown>[]>): Promise<number> {
  const [row] = await sql(
    "select count(*) as count from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
  );
  return Number(row?.count);
}

/** A database with others who do something, once, after the first statement of a read. */
function interrupted(db: Database) {
  let work = async (): Promise<unknown> => undefined;
  const interruptedDb: Database = {
    ...db,
    read: (reading) =>
      db.read((query) =>
        reading(async (...given) => {
          const rows = await query(...given);
          const once = work;
          work = async () => undefined;
          await once();
          return rows;
        }),
      ),
  };
  return {
    db: interruptedDb,
    afterFirstRead(others: () => Promise<unknown>) {
      work = others;
    },
  };
}
