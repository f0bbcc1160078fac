/** The examination of a whole store, piece by piece: what it finds of what was changed behind the service's back, and nothing else. */
import { createSecretKey, randomBytes } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { ExamineCursor } from "../../src/store/integrity-store.ts";
import { openSqlite } from "../../src/store/sqlite/open.ts";
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
  pendingKey,
  postgresBackdoor,
  postgresBackdoorOf,
  sqliteBackdoor,
  unlocked,
} from "../support/store-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

const key = createSecretKey(randomBytes(32));

/** Makes a store and what makes copies of it. */
type Kind = () => Promise<{ first: Backdoor; copy(): Promise<Backdoor> }>;

const kinds: [name: string, make: Kind][] = [
  [
    "sqlite",
    async () => {
      const first = sqliteBackdoor();
      return { first, copy: async () => sqliteBackdoor(first) };
    },
  ],
  [
    "postgres",
    async () => {
      const first = await postgresBackdoor(server);
      return { first, copy: async () => postgresBackdoorOf(await server.createCopy(first.url)) };
    },
  ],
];

async function fillAndClose(door: Backdoor): Promise<void> {
  const store = await unlocked(await door.open(), key);
  await fill(store);
  await store.close();
}

describe.each(kinds)("an examined %s store", (name, make) => {
  let copy: () => Promise<Backdoor>;
  let door: Backdoor;
  let store: Store;
  beforeAll(async () => {
    const { first, copy: copyOfFirst } = await make();
    await fillAndClose(first);
    copy = copyOfFirst;
  });
  beforeEach(async () => {
    door = await copy();
    store = await (await door.open()).unlock(key);
    return () => store.close();
  });

  async function found(): Promise<RowProblemKind[]> {
    const { problems } = await examined(store);
    return problems.map(({ kind }) => kind);
  }

  async function expectFound(kind: RowProblemKind, about: object): Promise<void> {
    const { problems } = await examined(store);
    expect(problems).toContainEqual(expect.objectContaining({ kind, ...about }));
  }

  it("has nothing that is wrong, and about as many rows as it says", async () => {
    const { problems, rows } = await examined(store);
    expect(problems).toEqual([]);
    const said = await store.examinedRows();
    expect(rows / said).toBeGreaterThan(0.6);
    expect(rows / said).toBeLessThan(1.1);
  });

  it("names a record that was altered", async () => {
    const { keyId } = (await store.active("tenant-3", "data"))!;
    await door.sql("update kms_keys set retired_at = 5 where key_id = ?1", keyId);
    await expectFound("record_altered", { tenantId: "tenant-3", keyId });
  });

  it("names a record that was put back to an earlier form of its own", async () => {
    const key = (await store.active("tenant-3", "data"))!;
    const [before] = await door.sql("select * from kms_keys where key_id = ?1", key.keyId);
    const by = { action: "disable", actor: "ann", requestId: "", at: new Date() } as const;
    await store.update(key, { ...key, state: "DISABLED", previousState: "ACTIVE" }, by);
    expect(await found()).toEqual([]);
    const columns = Object.keys(before!);
    const set = columns.map((column, index) => `${column} = ?${index + 2}`).join(", ");
    await door.sql(`update kms_keys set ${set} where key_id = ?1`, key.keyId, ...columns.map((each) => before![each]!));
    expect((await store.active("tenant-3", "data"))?.keyId).toBe(key.keyId); // its row reads well
    await expectFound("state", { tenantId: "tenant-3", keyId: key.keyId });
  });

  it("names a record that was deleted", async () => {
    const { keyId } = (await store.active("tenant-3", "data"))!;
    await door.sql("delete from kms_keys where key_id = ?1", keyId);
    await expectFound("record_missing", { tenantId: "tenant-3", keyId });
  });

  it("names a version that was deleted with its rows in the trail", async () => {
    const [first] = await store.list("tenant-3", "data");
    await door.sql("delete from kms_keys where key_id = ?1", first!.keyId);
    await door.sql("delete from kms_audit where key_id = ?1", first!.keyId);
    const kindsFound = await found();
    expect(kindsFound).toContain("versions");
    expect(kindsFound).toContain("audit_trail");
  });

  it("misses a row of the trail that was deleted", async () => {
    await door.sql("delete from kms_audit where id = (select min(id) + 3 from kms_audit)");
    expect(await found()).toContain("audit_trail");
  });

  it("sees a row of the trail that was altered", async () => {
    await door.sql("update kms_audit set count = count + 1 where action = 'encrypt_pii' and tenant_id = 'tenant-2'");
    expect(await found()).toContain("audit_trail");
  });

  it("sees the tail of the trail that was cut with its head", async () => {
    await addKey(store, { tenantId: "earlier" });
    const { writerId } = (await store.auditHead())!;
    const [head] = await door.sql("select * from kms_audit_writers where writer_id = ?1", writerId);
    await addKey(store, { tenantId: "later" });
    await door.sql("delete from kms_audit where writer_id = ?1 and sequence > ?2", writerId, head!.sequence!);
    await door.sql(
      "update kms_audit_writers set sequence = ?2, head = ?3, mac = ?4 where writer_id = ?1",
      ...[writerId, head!.sequence!, head!.head!, head!.mac!],
    );
    const kindsFound = await found();
    expect(kindsFound).toContain("record_unknown");
    if (name === "sqlite") expect(kindsFound).toContain("heads");
  });

  it.each([
    ["kms_requests", "digest = 'x'", "request_altered"],
    ["kms_leases", "holder = 'x'", "lease_altered"],
    ["kms_log_requests", "first_index = 1", "log_altered"],
    ["kms_logs", "changed_at = 1", "log_altered"],
  ] as const)("names an altered row of %s", async (table, change, kind) => {
    if (table === "kms_requests") await requested(store);
    expect(await found()).toEqual([]);
    await door.sql(`update ${table} set ${change}`);
    expect(await found()).toContain(kind);
  });

  it("names a log whose head was put back with all that was appended since", async () => {
    const log = { tenantId: "tenant-1", number: 1 };
    const head = (await store.logHead("tenant-1"))!;
    const [row] = await door.sql("select * from kms_logs where tenant_id = 'tenant-1'");
    await store.appendLog(grown(head, 10));
    await door.sql("delete from kms_log_entries where start >= 700");
    await door.sql("delete from kms_log_hashes where level = 0 and start >= 700");
    const { size, root, frontier, changed_at, mac } = row!;
    await door.sql(
      "update kms_logs set size = ?1, root = ?2, frontier = ?3, changed_at = ?4, mac = ?5 where tenant_id = 'tenant-1'",
      ...[size!, root!, frontier!, changed_at!, mac!],
    );
    expect((await store.logHead(log.tenantId))?.size).toBe(700);
    // Nothing in PostgreSQL itself knows how far the log was: that is for the heads file.
    if (name === "sqlite") await expectFound("heads", { what: expect.stringMatching(/heads of logs/) });
    else expect(await found()).toEqual([]);
  });

  it("names a log whose head alone was put back, and one that lost its head", async () => {
    const head = (await store.logHead("tenant-1"))!;
    const [row] = await door.sql("select * from kms_logs where tenant_id = 'tenant-1'");
    const request = { requestId: "r2", digest: "00", firstIndex: 700, count: 10, signedAt: new Date() };
    await store.appendLog(grown(head, 10, [request]));
    const { size, root, frontier, changed_at, mac } = row!;
    await door.sql(
      "update kms_logs set size = ?1, root = ?2, frontier = ?3, changed_at = ?4, mac = ?5 where tenant_id = 'tenant-1'",
      ...[size!, root!, frontier!, changed_at!, mac!],
    );
    await expectFound("log_content", { tenantId: "tenant-1", log: 1 });
    await expectFound("log_set_back", { tenantId: "tenant-1", log: 1 });
    await door.sql("delete from kms_logs where tenant_id = 'tenant-1'");
    await expectFound("log_content", { tenantId: "tenant-1", what: "log 1: has entries or hashes and no head" });
    await expectFound("log_set_back", { tenantId: "tenant-1", log: 1 });
  });

  it.each([
    ["kms_log_entries", "start = 256"],
    ["kms_log_hashes", "level = 0 and start = 300"],
    ["kms_log_hashes", "level = 1"],
  ])("names a log of whose %s a byte was flipped at %s", async (table, where) => {
    const [chunk] = await door.sql(`select data from ${table} where ${where}`);
    const data = new Uint8Array(chunk!.data as Uint8Array);
    data[data.length - 1]! ^= 1;
    await door.sql(`update ${table} set data = ?1 where ${where}`, data);
    await expectFound("log_content", { tenantId: "tenant-1", log: 1 });
  });

  it.each([
    ["kms_log_entries", "start = 256"],
    ["kms_log_hashes", "level = 1"],
  ])("names a log without a chunk of %s", async (table, where) => {
    await door.sql(`delete from ${table} where ${where}`);
    await expectFound("log_content", { tenantId: "tenant-1", log: 1 });
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
    expect(await found()).toEqual([]);
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
  beforeAll(() => fillAndClose(first));
  const filled = () => sqliteBackdoor(first);

  it("finds every one by which a row or an entry of an index reads otherwise, unless the start is refused", async () => {
    const { file } = filled();
    const outcomes = await flipBits(file, key, 20, 24);
    expect(outcomes.filter(({ outcome }) => outcome === "missed")).toEqual([]);
    expect(outcomes.filter(({ outcome }) => outcome === "found").length).toBeGreaterThan(5);
  });

  it.each([
    ["a table", "alter table kms_log_handovers rename column entry_index to entry_inde8"],
    ["a column", "alter table kms_log_compromises rename column number to nulber"],
    ["a sum", "update kms_logs set size = 9223372036854775807"],
  ])("goes on behind %s that no statement can read any more", async (_what, sql) => {
    const { file, sql: run } = filled();
    await run(sql);
    const store = await (await openSqlite({ name: "sqlite", file }, realTime)).unlock(key);
    onTestFinished(() => store.close());
    await store.examinedRows().catch((error) => expect(error).toMatchObject({ code: "DATA_LOSS" }));
    const { problems } = await examined(store);
    expect(problems.length).toBeGreaterThan(0);
  });

  it.each([
    ["kms_keys_version", { kind: "index", tenantId: "tenant-3" }],
    ["kms_audit_tenant", { kind: "index", tenantId: "" }],
  ])("names what is in a page of the index %s", async (index, about) => {
    const { file } = filled();
    flipIn(file, index, "tenant-3");
    const locked = await openSqlite({ name: "sqlite", file }, realTime);
    const store = await locked.unlock(key);
    onTestFinished(() => store.close());
    const { problems } = await examined(store);
    expect(problems.filter(({ what }) => what.includes(index))).toContainEqual(expect.objectContaining(about));
  });

  it("names a row that an index over a sum of columns does not have as it is", async () => {
    const { file, open } = filled();
    const first = await (await open()).unlock(key);
    const record = (await first.active("tenant-3", "data"))!;
    const wait = { destroyAt: new Date(), destroyWait: { sinceMs: 5, waitMs: 7 } };
    const by = { actor: "ann", requestId: "", at: new Date(), action: "schedule_destruction" } as const;
    await first.update(record, { ...record, state: "DESTROY_SCHEDULED", ...wait }, by);
    await first.close();
    withoutIndex(file, "kms_keys_wait", "update kms_keys set destroy_wait = 8 where state = 'DESTROY_SCHEDULED'");
    const store = await (await open()).unlock(key);
    onTestFinished(() => store.close());
    const { problems } = await examined(store);
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

async function requested(store: Store): Promise<void> {
  const record = pendingKey({ tenantId: "acme" });
  await store.insertPending(record);
  await store.activate({
    tenantId: "acme",
    purpose: "data",
    keyId: record.keyId,
    expect: "no-active",
    at: new Date(),
    by: { actor: "ann", requestId: "q" },
    request: { requestId: "q", digest: "00" },
  });
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
