/** What every store in a database must do while replicas of two releases use it: src/store/upgrade-store.ts as code. */
import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { KmsError } from "../../src/errors.ts";
import type { AuditEvent } from "../../src/store/audit-store.ts";
import { postgresDatabase, postgresDialect } from "../../src/store/postgres/open.ts";
import { countCommit } from "../../src/store/sql/commits.ts";
import type { Database } from "../../src/store/sql/rows/database.ts";
import type { RowForms } from "../../src/store/sql/rows/forms.ts";
import { rowMac } from "../../src/store/sql/rows/mac.ts";
import { insertRow, keyRow, valuesOf } from "../../src/store/sql/rows/rows.ts";
import { type Dialect, newestSchema, type TableName, tables } from "../../src/store/sql/rows/schema.ts";
import { sqlStore } from "../../src/store/sql/store.ts";
import { prepareSchema } from "../../src/store/sql/upgrade/migration.ts";
import { rewritePage } from "../../src/store/sql/upgrade/old-rows.ts";
import { embeddedDatabase, sqliteDialect } from "../../src/store/sqlite/embedded.ts";
import type { Store } from "../../src/store/store.ts";
import type { Replica, RewritePlace } from "../../src/store/upgrade-store.ts";
import { examined } from "../support/examined.ts";
import { grown, newLog } from "../support/log-store-fixture.ts";
import { thrownBy } from "../support/matchers.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import {
  addKey,
  type Backdoor,
  bothBackdoors,
  keptRow,
  pendingKey,
  sqliteBackdoor,
  unlocked,
} from "../support/store-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

const older = newestSchema - 1;
const finished: AuditEvent = {
  at: new Date("2026-01-01T00:00:00.000Z"),
  actor: "ann",
  action: "finish_upgrade",
  tenantId: "",
  purpose: undefined,
  keyId: "",
  outcome: "OK",
  requestId: "",
  count: 1,
};

function replica(version: number): Replica {
  return { replicaId: randomBytes(16).toString("hex"), release: `0.${version}.0`, version };
}

describe.each(bothBackdoors(server))("a %s store that is upgraded", (_name, make) => {
  let door: Backdoor;
  let store: Store;
  let key: KeyObject;
  beforeEach(async () => {
    door = await make();
    key = createSecretKey(randomBytes(32));
    store = await unlocked(await door.open(), key);
    await door.sql("update kms_schema set min_reader = ?1", older);
    return () => store.close();
  });

  it("tells which replicas run, by its own clock", async () => {
    const before = await store.upgradeState();
    expect(before).toMatchObject({ version: newestSchema, minReader: older, replicas: [] });
    const [one, other] = [replica(older), replica(newestSchema)];
    expect(await store.noteReplica(one)).toBe(older);
    await store.noteReplica(other);
    const { replicas, now } = await store.upgradeState();
    const running = [one, other].map((each) => ({ ...each, endedAt: undefined, seenAt: expect.any(Date) }));
    expect(replicas).toHaveLength(2);
    expect(replicas).toEqual(expect.arrayContaining(running));
    for (const { seenAt } of replicas) {
      expect(seenAt.getTime()).toBeGreaterThanOrEqual(before.now.getTime());
      expect(seenAt.getTime()).toBeLessThanOrEqual(now.getTime());
    }
    await store.noteReplica(one);
    await store.endReplica(one.replicaId);
    await store.endReplica("unknown");
    expect((await store.upgradeState()).replicas).toMatchObject([other]);
  });

  it("is not finished while a replica of a release before runs, or one did since the rows were begun, and says which", async () => {
    const one = replica(older);
    const { now } = await store.upgradeState();
    await store.noteReplica(one);
    await store.noteReplica(replica(newestSchema));
    expect(await store.finishUpgrade(finished, now)).toMatchObject({ kind: "older", replicas: [one] });
    await store.endReplica(one.replicaId);
    expect(await store.finishUpgrade(finished, now)).toMatchObject({ kind: "older", replicas: [one] });
    expect(await store.upgradeState()).toMatchObject({ minReader: older });
    expect(await store.auditEvents({ limit: 10 })).toEqual([]);
  });

  it("is not finished where one of those ended since without a word", async () => {
    const one = replica(older);
    const { now } = await store.upgradeState();
    const [seen_at, since] = [now.getTime() - 150_000, now.getTime() - 100_000];
    await store.noteReplica(one);
    const { row, put } = await keptRow(door, "kms_replicas");
    const mac = rowMac(key).of("kms_replicas", valuesOf("kms_replicas", { ...row, seen_at }));
    await put({ seen_at, mac });
    expect(await store.finishUpgrade(finished, new Date(since))).toMatchObject({ kind: "older", replicas: [one] });
    expect(await store.finishUpgrade(finished, now)).toEqual({ kind: "finished" });
  });

  it("gets no row of a release before once it is finished, be it that one's end", async () => {
    const one = replica(older);
    await store.noteReplica(one);
    await door.sql("update kms_schema set min_reader = ?1", newestSchema);
    await store.endReplica(one.replicaId);
    expect(await door.sql("select ended_at from kms_replicas")).toEqual([{ ended_at: null }]);
  });

  it("is finished once, with its audit row, and is from then on for no release before", async () => {
    const [one, other] = [replica(older), replica(newestSchema)];
    await store.noteReplica(one);
    await store.endReplica(one.replicaId);
    await store.noteReplica(other);
    const later = new Date((await store.upgradeState()).now.getTime() + 1);
    expect(await store.finishUpgrade(finished, later)).toEqual({ kind: "finished" });
    expect(await store.finishUpgrade(finished, later)).toEqual({ kind: "already" });
    expect(await store.auditEvents({ limit: 10 })).toMatchObject([{ action: "finish_upgrade", actor: "ann" }]);
    expect(await store.noteReplica(one)).toBe(newestSchema);
    expect((await store.upgradeState()).replicas).toMatchObject([other]);
  });

  it("believes no note of a replica that was altered", async () => {
    await store.noteReplica(replica(older));
    await door.sql("update kms_replicas set version = ?1", newestSchema);
    const refused = await thrownBy(() => store.finishUpgrade(finished, new Date()));
    expect(refused).toBeKmsError("DATA_LOSS", "the note of the");
    expect((refused as KmsError).advice).toMatch(/it goes by itself within a day or two/);
    expect(await store.upgradeState().catch(() => "refused")).toBe("refused");
    await door.sql("update kms_replicas set seen_at = seen_at - ?1", 86_400_000 + 60_000);
    await store.noteReplica(replica(newestSchema));
    expect((await store.upgradeState()).replicas).toMatchObject([{ version: newestSchema }]);
  });

  it("forgets replicas that were seen more than a day ago, or by a clock that was wrong", async () => {
    const gone = [replica(older), replica(older)];
    for (const each of gone) await store.noteReplica(each);
    for (const [at, sign] of ["-", "+"].entries()) {
      const moved = `update kms_replicas set seen_at = seen_at ${sign} ?1 where replica_id = ?2`;
      await door.sql(moved, 86_400_000 + 60_000, gone[at]!.replicaId);
    }
    const one = replica(newestSchema);
    await store.noteReplica(one);
    expect(await door.sql("select replica_id from kms_replicas")).toEqual([{ replica_id: one.replicaId }]);
  });
});

const databases: [name: string, open: () => Promise<Database>, dialect: Dialect][] = [
  [
    "SQLite",
    async () => embeddedDatabase({ time: realTime, file: sqliteBackdoor().file, soon: setImmediate }),
    sqliteDialect,
  ],
  ["PostgreSQL", async () => postgresDatabase({ url: await server.createDatabase() }, 4, realTime), postgresDialect],
];

/** Keys that are more than a page. */
const pages = 1_100;

describe.each(databases)("rows of an old form, in %s", (name, open, dialect) => {
  const key = createSecretKey(randomBytes(32));
  /** The trail keeps its form: its rows are never written anew. */
  const reading =
    (written: number, ...others: number[]) =>
    (table: string): RowForms =>
      table === "kms_audit" ? { written: 1, read: [1] } : { written, read: [written, ...others] };
  const [before, next] = [reading(1, 2), reading(2, 1)];
  const forms = { before: rowMac(key, before), next: rowMac(key, next), last: rowMac(key, reading(2)) };

  async function filled() {
    const db = await open();
    onTestFinished(() => db.close());
    await prepareSchema(db, dialect);
    const stored = { store_id: "", provider: "local", provider_key_id: "", wrapped: new Uint8Array(1), created_at: 0 };
    await db.write(({ query }) => insertRow(query, forms.before, "kms_store", { ...stored, id: 1, writers: 0 }));
    const of = (mac: keyof typeof forms) => {
      db.countCommits?.((query, changes) => countCommit(query, forms[mac], changes));
      return sqlStore(name, db, forms[mac]);
    };
    const store = of("before");
    await db.write(async ({ query }) => {
      for (let n = 0; n < pages; n += 1) await insertRow(query, forms.before, "kms_keys", keyRow(pendingKey()));
    });
    for (let n = 0; n < 20; n += 1) await addKey(store, { tenantId: `tenant-${n}` });
    await store.createLog(newLog());
    await store.appendLog(grown(newLog(), 300));
    await store.lease("rotation/2", "a", 1_000);
    return { db, of };
  }

  async function rewritten(db: Database): Promise<number> {
    let [rows, at] = [0, undefined as RewritePlace | undefined];
    do {
      const page = await rewritePage(db, forms.next, at, next);
      rows += page.rewritten;
      at = page.next;
    } while (at !== undefined);
    return rows;
  }

  async function oldRows(db: Database): Promise<Partial<Record<TableName, number>>> {
    const old: Partial<Record<TableName, number>> = {};
    for (const table of Object.keys(tables) as TableName[]) {
      if (table === "kms_audit") continue;
      const rows = await db.read((query) => query(`select * from ${table}`));
      const count = rows.filter((row) => forms.next.formOf(row.mac, table, valuesOf(table, row)) !== 2).length;
      if (count > 0) old[table] = count;
    }
    return old;
  }

  it("are all written anew but those of the trail, and both releases read them, and then the one after", async () => {
    const { db, of } = await filled();
    expect((await oldRows(db)).kms_keys).toBe(pages + 20);
    of("next"); // counts the commits
    expect(await rewritten(db)).toBeGreaterThan(pages + 20);
    expect(await oldRows(db)).toEqual({});
    expect(await rewritten(db)).toBe(0);
    for (const release of ["before", "next"] as const) {
      const store = of(release);
      expect((await examined(store)).problems).toEqual([]);
      expect((await store.active("tenant-7", "data"))?.state).toBe("ACTIVE");
      expect(await store.logHead("acme")).toMatchObject({ size: 300 });
      await addKey(store, { tenantId: `of-${release}` });
    }
    of("next");
    await rewritten(db);
    expect((await examined(of("last"))).problems).toEqual([]);
  });

  it("are heads of writers of the release before too, which go on behind them", async () => {
    const { db, of } = await filled();
    const store = of("before");
    await store.appendAudit([finished]);
    of("next"); // counts the commits
    await rewritten(db);
    await store.appendAudit([finished]);
    expect((await examined(of("next"))).problems).toEqual([]);
  });

  it("are left where somebody changes them meanwhile, and where they are not as they were written", async () => {
    const { db, of } = await filled();
    await db.write(({ query }) => query("update kms_keys set provider = 'other' where tenant_id = 'tenant-9'"));
    const store = of("before");
    of("next"); // counts the commits
    const rotating = Promise.all(Array.from({ length: 10 }, (_, n) => addKey(store, { tenantId: `tenant-${n + 10}` })));
    const [rows] = await Promise.all([rewritten(db), rotating]);
    expect(rows).toBeGreaterThan(pages);
    await rewritten(db);
    expect(await oldRows(db)).toEqual({ kms_keys: 1 });
    expect((await examined(of("next"))).problems).toMatchObject([{ kind: "record_altered" }]);
  });
});
