/** The examination of a whole store, piece by piece: what it finds of what was changed behind the service's back, and nothing else. */
import { createSecretKey, randomBytes } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { ExamineCursor } from "../../src/store/integrity-store.ts";
import { flipBits, flipIn } from "./sqlite/flipped-file.ts";
import type { RowProblemKind } from "../../src/store/row-problem.ts";
import type { Store } from "../../src/store/store.ts";
import { examined, fill, use } from "../support/examined.ts";
import { grown, newLog } from "../support/log-store-fixture.ts";
import { randomFrom } from "../crash/random.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import {
  addKey,
  type Backdoor,
  keptRow,
  pendingKey,
  postgresBackdoor,
  postgresBackdoorOf,
  sqliteBackdoor,
  unlocked,
} from "../support/store-fixture.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

const key = createSecretKey(randomBytes(32));

async function filled<T extends Backdoor>(door: T): Promise<T> {
  const store = await unlocked(await door.open(), key);
  await fill(store);
  await store.close();
  return door;
}

/** What makes copies of a store. */
const kinds: [name: string, make: () => Promise<() => Promise<Backdoor>>][] = [
  [
    "sqlite",
    async () => {
      const first = await filled(sqliteBackdoor());
      return async () => sqliteBackdoor(first);
    },
  ],
  [
    "postgres",
    async () => {
      const { url } = await filled(await postgresBackdoor(server));
      return async () => postgresBackdoorOf(await server.createCopy(url));
    },
  ],
];

describe.each(kinds)("an examined %s store", (name, make) => {
  let copy: () => Promise<Backdoor>;
  let door: Backdoor;
  let store: Store;
  beforeAll(async () => {
    copy = await make();
  });
  beforeEach(async () => {
    door = await copy();
    store = await (await door.open()).unlock(key);
    return () => store.close();
  });

  const problemsNow = async () => (await examined(store)).problems;

  async function expectFound(kind: RowProblemKind, about: object = {}): Promise<void> {
    expect(await problemsNow()).toContainEqual(expect.objectContaining({ kind, ...about }));
  }

  it("has nothing that is wrong, and about as many rows as it says", async () => {
    const { problems, rows } = await examined(store);
    expect(problems).toEqual([]);
    const said = await store.examinedRows();
    expect(rows / said).toBeGreaterThan(0.6);
    expect(rows / said).toBeLessThan(1.1);
  });

  const active = "tenant_id = 'tenant-3' and purpose = 'data' and state = 'ACTIVE'";
  const inLog = { tenantId: "tenant-1", log: 1 };
  it.each<[kind: RowProblemKind, statement: string, about?: object]>([
    ["record_altered", `update kms_keys set retired_at = 5 where ${active}`],
    ["record_missing", `delete from kms_keys where ${active}`],
    ["audit_trail", "delete from kms_audit where id = (select min(id) + 3 from kms_audit)", {}],
    [
      "audit_trail",
      "update kms_audit set count = count + 1 where action = 'encrypt_pii' and tenant_id = 'tenant-2'",
      {},
    ],
    ["lease_altered", "update kms_leases set holder = 'x'", {}],
    ["log_altered", "update kms_log_requests set first_index = 1", {}],
    ["log_altered", "update kms_logs set changed_at = 1", {}],
    ["log_content", "delete from kms_log_entries where start = 256", inLog],
    ["log_content", "delete from kms_log_hashes where level = 1", inLog],
  ])("finds %s after %s", async (kind, statement, about) => {
    const { keyId } = (await store.active("tenant-3", "data"))!;
    await door.sql(statement);
    await expectFound(kind, about ?? { tenantId: "tenant-3", keyId });
  });

  it("names a remembered request that was altered", async () => {
    const record = pendingKey({ tenantId: "acme" });
    await store.insertPending(record);
    const request = { requestId: "q", digest: "00" };
    const by = { actor: "ann", requestId: "q" };
    await store.activate({ ...record, expect: "no-active", at: new Date(), by, request });
    expect(await problemsNow()).toEqual([]);
    await door.sql("update kms_requests set digest = 'x'");
    await expectFound("request_altered");
  });

  it("names a record that was put back to an earlier form of its own", async () => {
    const key = (await store.active("tenant-3", "data"))!;
    const before = await keptRow(door, "kms_keys", `key_id = '${key.keyId}'`);
    const by = { action: "disable", actor: "ann", requestId: "", at: new Date() } as const;
    await store.update(key, { ...key, state: "DISABLED", previousState: "ACTIVE" }, by);
    expect(await problemsNow()).toEqual([]);
    await before.putBack();
    expect((await store.active("tenant-3", "data"))?.keyId).toBe(key.keyId); // its row reads well
    await expectFound("state", { tenantId: "tenant-3", keyId: key.keyId });
  });

  it("names a version that was deleted with its rows in the trail", async () => {
    const [first] = await store.list("tenant-3", "data");
    for (const table of ["kms_keys", "kms_audit"]) {
      await door.sql(`delete from ${table} where key_id = ?1`, first!.keyId);
    }
    await expectFound("versions");
    await expectFound("audit_trail");
  });

  it("sees the tail of the trail that was cut with its head", async () => {
    await addKey(store, { tenantId: "earlier" });
    const { writerId, sequence } = (await store.auditHead())!;
    const head = await keptRow(door, "kms_audit_writers", `writer_id = '${writerId}'`);
    await addKey(store, { tenantId: "later" });
    await door.sql("delete from kms_audit where writer_id = ?1 and sequence > ?2", writerId, sequence);
    await head.putBack();
    await expectFound("record_unknown");
    if (name === "sqlite") await expectFound("heads");
  });

  it("names a log whose head was put back with all that was appended since", async () => {
    const early = await keptRow(door, "kms_logs", "tenant_id = 'tenant-1'");
    await store.appendLog(grown((await store.logHead("tenant-1"))!, 10));
    await door.sql("delete from kms_log_entries where start >= 700");
    await door.sql("delete from kms_log_hashes where level = 0 and start >= 700");
    await early.putBack();
    expect((await store.logHead("tenant-1"))?.size).toBe(700);
    // Nothing in PostgreSQL itself knows how far the log was: that is for the heads file.
    if (name === "sqlite") await expectFound("heads", { what: expect.stringMatching(/heads of logs/) });
    else expect(await problemsNow()).toEqual([]);
  });

  it("names a log whose head alone was put back, and one that lost its head", async () => {
    const early = await keptRow(door, "kms_logs", "tenant_id = 'tenant-1'");
    const request = { requestId: "r2", digest: "00", firstIndex: 700, count: 10, signedAt: new Date() };
    await store.appendLog(grown((await store.logHead("tenant-1"))!, 10, [request]));
    await early.putBack();
    await expectFound("log_content", inLog);
    await expectFound("log_set_back", inLog);
    await door.sql("delete from kms_logs where tenant_id = 'tenant-1'");
    await expectFound("log_content", { tenantId: "tenant-1", what: "log 1: has entries or hashes and no head" });
    await expectFound("log_set_back", inLog);
  });

  it.each([
    ["kms_log_entries", "start = 256"],
    ["kms_log_hashes", "level = 0 and start = 300"],
    ["kms_log_hashes", "level = 1"],
  ])("names a log of whose %s a byte was flipped at %s", async (table, where) => {
    const chunk = await keptRow(door, table, where);
    const data = new Uint8Array(chunk.row.data as Uint8Array);
    data[data.length - 1]! ^= 1;
    await chunk.put({ data });
    await expectFound("log_content", inLog);
  });

  it("finds nothing while keys and logs change, whatever happens between its pieces", async () => {
    await store.noteWitnessedTime(undefined, { witnessedMs: 0, wallAt: new Date(), secondAt: undefined });
    for (let seed = 0; seed < 4; seed += 1) {
      const dice = randomFrom(seed).below;
      const { problems } = await examined(store, () => change(store, dice));
      expect(problems, `seed ${seed}`).toEqual([]);
    }
  });

  it("comes to an end though a row is added to the trail after each of its pieces", async () => {
    const key = (await store.active("tenant-3", "data"))!;
    const { pieces } = await examined(store);
    const { problems } = await examined(store, async (piece) => {
      if (piece > 2 * pieces) throw new Error("it follows what is added");
      await store.appendAudit([use(key)]);
    });
    expect(problems).toEqual([]);
  });

  it("goes through a key with more rows in the trail than a piece has", async () => {
    const { keyId } = (await store.active("tenant-3", "data"))!;
    const event = use({ tenantId: "tenant-3", keyId });
    for (let round = 0; round < 4; round += 1) await store.appendAudit(Array.from({ length: 300 }, () => event));
    expect(await problemsNow()).toEqual([]);
    await door.sql("delete from kms_keys where key_id = ?1", keyId);
    await expectFound("record_missing", { tenantId: "tenant-3", keyId });
  });
});

it("ends its look at the indexes of a SQLite file though the trail grows as fast as it is read", async () => {
  const store = await unlocked(await sqliteBackdoor().open(), createSecretKey(randomBytes(32)));
  onTestFinished(() => store.close());
  const uses = Array.from({ length: 500 }, () => use({ tenantId: "acme", keyId: "k" }));
  await store.appendAudit([...uses, ...uses]);
  let from: ExamineCursor | undefined = { part: "indexes", at: undefined };
  for (let pieces = 1; from !== undefined; pieces += 1) {
    const { rows, problems, next } = await store.examine(from);
    expect(problems).toEqual([]);
    expect(pieces).toBeLessThan(300);
    if (rows === uses.length) await store.appendAudit(uses);
    from = next;
  }
});

describe("the examination of a SQLite file with a flipped bit", () => {
  const first = sqliteBackdoor();
  beforeAll(() => filled(first));
  const copied = () => sqliteBackdoor(first);

  async function opened(open: Backdoor["open"]): Promise<Store> {
    const store = await (await open()).unlock(key);
    onTestFinished(() => store.close());
    return store;
  }

  it("finds every one by which a row or an entry of an index reads otherwise, unless the start is refused", async () => {
    const { file } = copied();
    const outcomes = await flipBits(file, key, 20, 24);
    expect(outcomes.filter(({ outcome }) => outcome === "missed")).toEqual([]);
    expect(outcomes.filter(({ outcome }) => outcome === "found").length).toBeGreaterThan(5);
  });

  it.each([
    ["a table", "alter table kms_log_handovers rename column entry_index to entry_inde8"],
    ["a column", "alter table kms_log_compromises rename column number to nulber"],
    ["a sum", "update kms_logs set size = 9223372036854775807"],
  ])("goes on behind %s that no statement can read any more", async (_what, sql) => {
    const { open, sql: run } = copied();
    await run(sql);
    const store = await opened(open);
    await store.examinedRows().catch((error) => expect(error).toMatchObject({ code: "DATA_LOSS" }));
    const { problems } = await examined(store);
    expect(problems.length).toBeGreaterThan(0);
  });

  it.each([
    ["kms_keys_version", { kind: "index", tenantId: "tenant-3" }],
    ["kms_audit_tenant", { kind: "index", tenantId: "" }],
  ])("names what is in a page of the index %s", async (index, about) => {
    const { file, open } = copied();
    flipIn(file, index, "tenant-3");
    const { problems } = await examined(await opened(open));
    expect(problems.filter(({ what }) => what.includes(index))).toContainEqual(expect.objectContaining(about));
  });

  it("names a row that an index over a sum of columns does not have as it is", async () => {
    const { file, open } = copied();
    const first = await (await open()).unlock(key);
    const record = (await first.active("tenant-3", "data"))!;
    const wait = { destroyAt: new Date(), destroyWait: { sinceMs: 5, waitMs: 7 } };
    const by = { actor: "ann", requestId: "", at: new Date(), action: "schedule_destruction" } as const;
    await first.update(record, { ...record, state: "DESTROY_SCHEDULED", ...wait }, by);
    await first.close();
    withoutIndex(file, "kms_keys_wait", "update kms_keys set destroy_wait = 8 where state = 'DESTROY_SCHEDULED'");
    const { problems } = await examined(await opened(open));
    const what = problems.filter(({ kind, tenantId }) => kind === "index" && tenantId === "tenant-3");
    expect(what.map(({ keyId, what: said }) => [keyId, said])).toEqual([
      [record.keyId, "kms_keys: index kms_keys_wait lacks a row that is there"],
      [record.keyId, "kms_keys: index kms_keys_wait leads to another row than it says"],
    ]);
  });
});

/** Runs a statement by which the index does not change. */
function withoutIndex(file: string, index: string, statement: string): void {
  const inSchema = (change: string, ...values: (string | number)[]) => {
    const db = new DatabaseSync(file, { defensive: false });
    db.exec("pragma writable_schema = on");
    db.prepare(change).run(...values);
    db.close();
  };
  const db = new DatabaseSync(file);
  const row = db.prepare("select name, tbl_name, rootpage, sql from sqlite_schema where name = ?").get(index)!;
  db.close();
  inSchema("delete from sqlite_schema where name = ?", index);
  const without = new DatabaseSync(file);
  without.exec(statement);
  without.close();
  const { name, tbl_name, rootpage, sql } = row as Record<string, string>;
  inSchema("insert into sqlite_schema values ('index', ?, ?, ?, ?)", name!, tbl_name!, rootpage!, sql!);
}

/** One change: a key is made, rotated, disabled or destroyed, or a log grows. */
async function change(store: Store, dice: (sides: number) => number): Promise<void> {
  const turn = dice(5);
  const tenantId = `tenant-${dice(4)}`;
  if (turn === 0) await addKey(store, { tenantId: `new-${dice(1e9)}` });
  if (turn === 1) await addKey(store, { tenantId });
  const by = { actor: "ann", requestId: "", at: new Date() };
  const key = await store.active(tenantId, "data");
  if (turn === 2 && key) {
    const next = { ...key, state: "DISABLED", previousState: "ACTIVE" } as const;
    await store.update(key, next, { ...by, action: "disable" });
  }
  if (turn === 3 && key) {
    const wait = { destroyAt: new Date(), destroyWait: { sinceMs: 0, waitMs: 0 } };
    const scheduled = { ...key, state: "DESTROY_SCHEDULED", ...wait, previousState: "ACTIVE" } as const;
    await store.update(key, scheduled, { ...by, action: "schedule_destruction" });
    const waited = { destroyWait: { sinceMs: 0, waitMs: 0 }, wrapped: new Uint8Array() };
    const destroyed = { ...scheduled, ...waited, state: "DESTROYED" } as const;
    await store.update(scheduled, destroyed, { ...by, action: "destroy" });
  }
  if (turn !== 4) return;
  const head = (await store.logHead("tenant-1"))!;
  await store.appendLog(grown(head, 1 + dice(400)));
  await store.createLog(newLog({ tenantId })).catch(() => {}); // it has one
}
