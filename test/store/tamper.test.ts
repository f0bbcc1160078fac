/** What somebody can do who writes to the database and has not the store key: nothing that is believed. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { RowValue } from "../../src/store/sql/rows/mac.ts";
import type { KeyRecord } from "../../src/store/key-record.ts";
import { packRuns } from "../../src/tlog/entry-run.ts";
import type { LogHead, LogRequest } from "../../src/store/log-store.ts";
import { laterColumns, tables } from "../../src/store/sql/rows/schema.ts";
import type { AuditProblem } from "../../src/store/audit-store.ts";
import type { Store } from "../../src/store/store.ts";
import { msFromNow } from "../support/from-now.ts";
import { thrownBy } from "../support/matchers.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import { grown, newLog } from "../support/log-store-fixture.ts";
import {
  addKey,
  type Backdoor,
  pendingKey,
  postgresBackdoor,
  sqliteBackdoor,
  unlocked,
} from "../support/store-fixture.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

const kinds: [name: string, make: () => Promise<Backdoor>][] = [
  ["sqlite", async () => sqliteBackdoor()],
  ["postgres", () => postgresBackdoor(server)],
];

interface World {
  door: Backdoor;
  store: Store;
  /** The only one. */
  key: KeyRecord;
}

async function world(make: () => Promise<Backdoor>): Promise<World> {
  const door = await make();
  const store = await unlocked(await door.open());
  return { door, store, key: await addKey(store, { purpose: "signing", publicKey: randomBytes(32) }) };
}

/** What comes of every way in which the service would use the record. */
async function usesOf({ door, store, key }: World): Promise<unknown[]> {
  const errors = await Promise.all([
    thrownBy(() => store.get("acme", key.keyId)),
    thrownBy(() => store.list("acme", "signing")),
    thrownBy(() => addKey(store, { purpose: "signing", provider: "renewed" })),
  ]);
  await door.sql("delete from kms_keys where provider = 'renewed'");
  return errors;
}

describe.each(kinds)("an edited %s database", (_name, make) => {
  let door: Backdoor;
  let store: Store;
  let key: KeyRecord;
  beforeEach(async () => {
    ({ door, store, key } = await world(make));
    return () => store.close();
  });

  const uses = () => usesOf({ door, store, key });

  async function change(column: string, value: RowValue, table = "kms_keys"): Promise<void> {
    await door.sql(`update ${table} set ${column} = ?1`, value);
  }

  it("never passes for what was written, whichever byte of a record was flipped", async () => {
    const [row] = await door.sql("select * from kms_keys");
    let flips = 0;
    for (const column of tables.kms_keys) {
      for (const value of neighbours(row![column]!)) {
        await change(column, value);
        flips += 1;
        // Under another tenant, purpose or id it is a key that was never made, and the one that was made is missed.
        for (const error of await uses()) expect(error, `${column} ${flips}`).toBeKmsError("DATA_LOSS");
      }
      await change(column, row![column]!);
    }
    expect(flips).toBeGreaterThan(150);
    expect(await store.active("acme", "signing")).toEqual(key);
  });

  it("does not let two tenants' wrapped keys change places", async () => {
    const other = await addKey(store, { tenantId: "other", purpose: "signing", publicKey: randomBytes(32) });
    const swap =
      "update kms_keys set wrapped = ?1, mac = (select mac from kms_keys where key_id = ?2) where key_id = ?3";
    await door.sql(swap, other.wrapped, other.keyId, key.keyId);
    expect(await thrownBy(() => store.active("acme", "signing"))).toBeKmsError("DATA_LOSS", key.keyId);
    expect(await store.active("other", "signing")).toEqual(other);
  });

  it("does not let a compromised key be active again", async () => {
    const by = { actor: "ann", requestId: "", action: "mark_compromised", at: new Date() } as const;
    await store.update(key, { ...key, state: "COMPROMISED", compromisedAt: new Date(), previousState: "ACTIVE" }, by);
    await change("state", "ACTIVE");
    for (const error of await uses()) expect(error).toBeKmsError("DATA_LOSS", key.keyId);
  });

  it("does not make a first key for a tenant whose record was removed", async () => {
    await door.sql("delete from kms_keys");
    for (const error of await uses()) expect(error).toBeKmsError("DATA_LOSS", "gone");
    const fresh = { purpose: "signing", keyId: randomBytes(16).toString("hex") } as const;
    await store.insertPending({ ...key, ...fresh });
    const by = { actor: "ann", requestId: "" };
    const first = { tenantId: "acme", ...fresh, expect: "no-version", at: new Date(), by } as const;
    expect(await thrownBy(() => store.activate(first))).toBeKmsError("DATA_LOSS", "gone");
  });

  it("believes no witnessed time that was edited, and destroys nothing by it", async () => {
    const time = { witnessedMs: 5, wallAt: new Date(1_767_323_045_678), secondAt: new Date(1_767_323_045_679) };
    await store.noteWitnessedTime(undefined, time);
    const [row] = await door.sql("select * from kms_time");
    const wait = {
      state: "DESTROY_SCHEDULED",
      destroyAt: new Date(0),
      destroyWait: { sinceMs: 0, waitMs: 5 },
    } as const;
    const by = { actor: "ann", requestId: "", at: new Date() };
    await store.update(key, { ...key, ...wait }, { ...by, action: "schedule_destruction" });
    const scheduled = { ...key, ...wait };
    const destroy = () =>
      store.update(
        scheduled,
        { ...scheduled, state: "DESTROYED", wrapped: new Uint8Array() },
        { ...by, action: "destroy", leastWitnessedMs: 5 },
      );
    for (const column of tables.kms_time.filter((name) => name !== "id")) {
      for (const value of neighbours(row![column]!)) {
        await change(column, value, "kms_time");
        expect(await thrownBy(() => store.witnessedTime()), column).toBeKmsError("DATA_LOSS", "witnessed time");
        expect(await thrownBy(() => store.noteWitnessedTime(time, time)), column).toBeKmsError("DATA_LOSS");
        expect(await thrownBy(destroy), column).toBeKmsError("DATA_LOSS");
        await change(column, row![column]!, "kms_time");
      }
    }
    expect((await store.witnessedTime()).noted).toEqual(time);
    expect(await store.get("acme", key.keyId)).toEqual(scheduled);
    await destroy();
  });

  it("shows a remembered request that was edited", async () => {
    const data = await addKey(store);
    const request = { requestId: "r1", digest: "aa" };
    const fresh = randomBytes(16).toString("hex");
    await store.insertPending({ ...data, keyId: fresh });
    const by = { actor: "ann", requestId: "r1" };
    const expectActive = { active: data.keyId };
    await store.activate({ ...data, keyId: fresh, expect: expectActive, at: new Date(), by, request });
    await change("digest", "bb", "kms_requests");
    expect(await thrownBy(() => store.request("acme", "r1"))).toBeKmsError("DATA_LOSS");
  });

  it("shows a lease of which somebody changed when its work was done", async () => {
    const { generation } = await store.lease("backup", "a", 60_000);
    await store.finishLease({ name: "backup", generation: generation! }, new Date(0));
    await change("finished_at", msFromNow(0), "kms_leases");
    expect(await thrownBy(() => store.leaseFinishedAt("backup"))).toBeKmsError("DATA_LOSS", "the lease backup");
  });

  describe("of logs", () => {
    const acme = { tenantId: "acme", number: 1 };
    let head: LogHead;
    beforeEach(async () => {
      await store.createLog(newLog());
      await store.createLog(newLog({ tenantId: "other" }));
      head = await append(newLog(), 5, [{ ...batch, firstIndex: 0, count: 5 }]);
    });
    const batch = { requestId: "r1", digest: "aa", signedAt: new Date() };

    async function append(expect: LogHead, count: number, requests: LogRequest[] = []): Promise<LogHead> {
      const group = grown(expect, count, requests);
      await store.appendLog(group);
      return { ...expect, ...group.next };
    }

    async function row(table: string, tenantId: string): Promise<Record<string, RowValue>> {
      return (await door.sql(`select * from ${table} where tenant_id = ?1`, tenantId))[0]!;
    }

    async function put(table: string, values: Record<string, RowValue>): Promise<void> {
      await door.sql(`delete from ${table} where tenant_id = ?1`, values.tenant_id!);
      const places = Object.keys(values).map((_, index) => `?${index + 1}`);
      const columns = Object.keys(values).join(", ");
      await door.sql(`insert into ${table} (${columns}) values (${places.join(", ")})`, ...Object.values(values));
    }

    it("gives no head of which a byte was flipped", async () => {
      const stored = await row("kms_logs", "acme");
      let flips = 0;
      for (const column of tables.kms_logs.filter((name) => name !== "tenant_id" && name !== "number")) {
        for (const value of neighbours(stored[column]!)) {
          await door.sql(`update kms_logs set ${column} = ?1 where tenant_id = 'acme'`, value);
          flips += 1;
          for (const read of [
            () => store.logHead("acme"),
            () => store.logHeads("acme"),
            () => store.createLog(newLog()),
          ])
            expect(await thrownBy(read), `${column} ${flips}`).toBeKmsError(
              "DATA_LOSS",
              "head of log 1 of tenant acme",
            );
        }
        await door.sql(`update kms_logs set ${column} = ?1 where tenant_id = 'acme'`, stored[column]!);
      }
      expect(flips).toBeGreaterThan(100);
      expect(await store.logHead("acme")).toEqual(head);
    });

    it("gives no head of another tenant, or of another log", async () => {
      const others = await row("kms_logs", "other");
      await put("kms_logs", { ...others, tenant_id: "acme" });
      expect(await thrownBy(() => store.logHead("acme"))).toBeKmsError("DATA_LOSS");
      await door.sql("delete from kms_logs where tenant_id = 'other'");
      await put("kms_logs", { ...others, number: 2 });
      expect(await thrownBy(() => store.logHead("other"))).toBeKmsError("DATA_LOSS");
    });

    it("does not append behind a head that was put back: what came after it is in the way", async () => {
      const before = await row("kms_logs", "acme");
      await append(head, 7);
      await put("kms_logs", before);
      expect(await store.logHead("acme")).toEqual(head); // a whole row of its own is authentic
      for (const count of [1, 7, 300]) {
        expect(await thrownBy(() => append(head, count))).toBeKmsError("DATA_LOSS", "set back");
      }
      expect(await store.logHead("acme")).toEqual(head);
    });

    it("does not begin a log anew whose head was removed", async () => {
      await door.sql("delete from kms_logs where tenant_id = 'acme'");
      await store.createLog(newLog());
      expect(await thrownBy(() => append(newLog(), 3))).toBeKmsError("DATA_LOSS", "set back");
    });

    it("lets a key be marked as compromised whatever was done to the head, and then records none", async () => {
      await door.sql("update kms_logs set size = 2 where tenant_id = 'acme'");
      const mark = { actor: "ann", requestId: "", action: "mark_compromised", at: new Date() } as const;
      await store.update(key, { ...key, state: "COMPROMISED", compromisedAt: new Date() }, mark);
      expect((await store.get("acme", key.keyId))?.state).toBe("COMPROMISED");
      expect(await store.logCompromises("acme")).toEqual([]);
    });

    it("gives no batch, handover or compromise that was edited", async () => {
      const next = pendingKey({ purpose: "signing" });
      await store.insertPending(next);
      const entry = new Uint8Array([1]);
      const handover = { ...acme, fromKeyId: key.keyId, toKeyId: next.keyId, index: 5, entry, proof: "proof" };
      await store.activate({
        ...next,
        at: new Date(),
        by: { actor: "ann", requestId: "" },
        outgoing: "COMPROMISED",
        expect: { active: key.keyId },
        handover: { append: grown(head, 1), handover },
      });
      const reads: [table: string, column: string, value: RowValue, read: () => Promise<unknown>][] = [
        ["kms_log_requests", "digest", "bb", () => store.logRequest(acme, "r1")],
        ["kms_log_requests", "first_index", 1, () => store.logRequest(acme, "r1")],
        ["kms_log_handovers", "to_key_id", "cc", () => store.logHandovers("acme")],
        ["kms_log_handovers", "proof", "forged", () => store.logHandovers("acme")],
        ["kms_log_compromises", "size", 1_000_000, () => store.logCompromises("acme")],
        ["kms_log_compromises", "key_id", "dd", () => store.logCompromises("acme")],
      ];
      for (const [table, column, value, read] of reads) {
        const stored = await row(table, "acme");
        await read();
        await door.sql(`update ${table} set ${column} = ?1 where tenant_id = 'acme'`, value);
        expect(await thrownBy(read), `${table} ${column}`).toBeKmsError("DATA_LOSS");
        await put(table, stored);
      }
    });

    it("gives no bundle or tile with a gap", async () => {
      await append(await append(head, 3), 3);
      await door.sql("delete from kms_log_entries where start = 5");
      await door.sql("delete from kms_log_hashes where start = 5");
      expect(await thrownBy(() => store.logEntries(acme, 0))).toBeKmsError("DATA_LOSS", "log 1 of tenant acme");
      expect(await thrownBy(() => store.logHashes(acme, 0, 0))).toBeKmsError("DATA_LOSS", "log 1 of tenant acme");
    });

    it("gives no bundle of a few bytes that say they are four gigabytes", async () => {
      await append(head, 3);
      const run = { form: new Uint8Array(65_535), places: [], count: 65_535, shown: new Uint8Array() };
      await door.sql("update kms_log_entries set data = ?1", packRuns([run]));
      expect(await thrownBy(() => store.logEntries(acme, 0))).toBeKmsError("DATA_LOSS", "log 1 of tenant acme");
    });
  });

  it("is not opened without its store key, nor with another's", async () => {
    const [row] = await door.sql("select * from kms_store");
    const stranger = await make();
    await (await unlocked(await stranger.open())).close();
    const [foreign] = await stranger.sql("select * from kms_store");
    await door.sql("delete from kms_store");
    const locked = await door.open();
    expect(await thrownBy(() => locked.storeKey())).toBeKmsError("DATA_LOSS", "no store key");
    expect(await thrownBy(() => unlocked(locked))).toBeKmsError("DATA_LOSS", "no store key");
    const columns = tables.kms_store;
    const places = columns.map((_, index) => `?${index + 1}`).join(", ");
    const insert = `insert into kms_store (${columns.join(", ")}) values (${places})`;
    await door.sql(insert, ...columns.map((column) => foreign![column]!));
    expect(await locked.storeKey()).toMatchObject({ storeId: foreign!.store_id });
    expect(await thrownBy(() => unlocked(locked))).toBeKmsError("DATA_LOSS");
    await locked.close();
    expect(row!.store_id).not.toBe(foreign!.store_id);
  });

  it("is not opened with a store key that lacks a column", async () => {
    const columns = tables.kms_store.map((column) => (column === "provider" ? "null as provider" : column));
    await door.sql("alter table kms_store rename to kms_store_kept");
    await door.sql(`create table kms_store as select ${columns.join(", ")} from kms_store_kept`);
    const locked = await door.open();
    expect(await thrownBy(() => locked.storeKey())).toBeKmsError("DATA_LOSS", "the store key in the store is not as");
    await locked.close();
  });

  describe("of audit rows", () => {
    beforeEach(async () => {
      const event = {
        at: new Date(),
        actor: "ann",
        action: "sign_span",
        tenantId: "acme",
        purpose: "signing",
      } as const;
      const rows = [2, 3, 4, 5].map((count) => ({ ...event, keyId: key.keyId, outcome: "OK", requestId: "", count }));
      await store.appendAudit(rows);
    });

    async function problems(): Promise<AuditProblem[]> {
      const { problems, events, next } = await store.verifyAudit(undefined, 100);
      expect(events).toBeGreaterThan(0);
      expect(next).toBeUndefined();
      return problems;
    }

    it("names the one that was edited, whichever byte", async () => {
      const [row] = await door.sql("select * from kms_audit where sequence = 3");
      for (const column of tables.kms_audit.filter((name) => name !== "writer_id" && name !== "sequence")) {
        for (const value of neighbours(row![column]!).slice(0, 4)) {
          await door.sql(`update kms_audit set ${column} = ?1 where sequence = 3`, value);
          expect((await problems()).map(({ sequence }) => sequence)).toContain(3);
        }
        await door.sql(`update kms_audit set ${column} = ?1 where sequence = 3`, row![column]!);
      }
      expect(await problems()).toEqual([]);
    });

    it("names the one that was removed", async () => {
      await door.sql("delete from kms_audit where sequence = 3");
      expect(await problems()).toMatchObject([{ sequence: 3, what: "row 3 is missing" }]);
    });

    it("names those that were cut at the end", async () => {
      await door.sql("delete from kms_audit where sequence > 3");
      const what = expect.stringMatching(/^rows 4 to 5 are missing.*tail/);
      expect(await problems()).toMatchObject([{ sequence: 4, what }]);
    });

    it("names a head that was set back to hide a cut", async () => {
      await door.sql("delete from kms_audit where sequence > 3");
      await door.sql(
        "update kms_audit_writers set sequence = 3, head = (select mac from kms_audit where sequence = 3)",
      );
      expect(await problems()).toMatchObject([{ sequence: 0, what: expect.stringContaining("head") }]);
    });

    it.each([
      ["taken from it", "update kms_audit set rule = null where sequence = 6", 6],
      ["given to it", "update kms_audit set rule = 'ops' where sequence = 5", 5],
      ["another's", "update kms_audit set rule = 'web' where sequence = 6", 6],
      ["moved to its request_id", "update kms_audit set rule = null, request_id = 'ops' where sequence = 6", 6],
    ])("names one whose rule was %s", async (_what, statement, sequence) => {
      const by = { actor: "ann", requestId: "", rule: "ops", action: "disable", at: new Date() } as const;
      await store.update(key, { ...key, state: "DISABLED", previousState: "ACTIVE" }, by);
      expect(await problems()).toEqual([]);
      await door.sql(statement);
      expect(await problems()).toMatchObject([{ sequence, what: `row ${sequence} was altered` }]);
    });

    it.each([
      ["whose count of names was taken", "update kms_audit set distinct_names = null"],
      ["with fewer names", "update kms_audit set distinct_names = 1"],
      ["whose first time was moved to its names", "update kms_audit set distinct_names = first_at, first_at = null"],
      ["whose words were changed", "update kms_audit set detail = 'nothing'"],
      ["whose words were moved to its rule", "update kms_audit set rule = detail, detail = null"],
    ])("names one that stands for many, %s", async (_what, statement) => {
      const counted = { at: new Date(), firstAt: new Date(71), names: 72, count: 73, detail: "74" };
      const named = { tenantId: "", purpose: undefined, keyId: "", requestId: "" };
      await store.appendAudit([{ ...counted, ...named, actor: "eve", action: "decrypt_pii", outcome: "NOT_FOUND" }]);
      expect(await problems()).toEqual([]);
      await door.sql(`${statement} where sequence = 6`);
      expect(await problems()).toMatchObject([{ sequence: 6, what: "row 6 was altered" }]);
    });

    it("names those that were added behind the head, or before the first", async () => {
      const columns = tables.kms_audit.filter((column) => column !== "sequence").join(", ");
      for (const forged of [-1, 0, 999]) {
        await door.sql(
          `insert into kms_audit (sequence, ${columns}) select ${forged}, ${columns} from kms_audit where sequence = 1`,
        );
      }
      const what = expect.stringContaining("outside this writer's chain");
      expect(await problems()).toMatchObject([-1, 0, 999].map((sequence) => ({ sequence, what })));
    });

    it("are not written on behind a head that was put back", async () => {
      const [head] = await door.sql("select * from kms_audit_writers");
      await addKey(store);
      await door.sql("delete from kms_audit where sequence > 5");
      const places = tables.kms_audit_writers.slice(1).map((column, index) => `${column} = ?${index + 1}`);
      const values = tables.kms_audit_writers.slice(1).map((column) => head![column]!);
      await door.sql(`update kms_audit_writers set ${places.join(", ")}`, ...values);
      expect(await problems()).toEqual([]); // which only whoever noted the head would see
      expect(await thrownBy(() => addKey(store, { tenantId: "other" }))).toBeKmsError("DATA_LOSS", "rows were taken");
    });

    it("misses a writer that was removed whole", async () => {
      const other = await door.open();
      await door.sql("delete from kms_audit");
      await door.sql("delete from kms_audit_writers");
      const { problems } = await store.verifyAudit(undefined, 100);
      expect(problems).toMatchObject([{ writerId: "", what: "1 writers were counted and 0 heads are here" }]);
      await other.close();
    });

    it.each([
      ["sequence", -13],
      ["count", -1],
      ["at", Number.MAX_SAFE_INTEGER],
      ["at", -1],
      ["purpose", "either"],
    ])("are not listed with a %s of %s, which no answer could hold", async (column, value) => {
      await door.sql(`update kms_audit set ${column} = ?1 where sequence = 2`, value);
      expect(await thrownBy(() => store.auditEvents({ limit: 100 }))).toBeKmsError("DATA_LOSS", "was");
    });

    it("refuses to go on behind a head that is not its own", async () => {
      await door.sql("update kms_audit_writers set sequence = 1");
      expect(await thrownBy(() => addKey(store))).toBeKmsError("DATA_LOSS", "head");
      expect(await store.active("acme", "data")).toBeUndefined();
    });
  });
});

describe.each(kinds)("an edited %s database of a key that waits for its destruction", (_name, make) => {
  // All of them could stand in any column, as text or as a number.
  const at = new Date(1_767_323_045_678);
  const destruction = { by: "71", confirmedBy: "72", request: { at, rule: "73", days: 30 } };
  const destroyWait = { sinceMs: 74, waitMs: 75 };
  const columns = laterColumns.kms_keys;
  const numbers: readonly string[] = ["destroy_requested_at", "destroy_days", "destroy_witnessed", "destroy_wait"];
  const pairs = columns.flatMap((one) =>
    columns.filter((other) => other !== one).map((other) => [one, other] as const),
  );
  let edited: World;
  /** The record of a key with all of it. */
  let whole: KeyRecord;
  let row: Readonly<Record<string, RowValue>>;
  // Only this row is edited, and it is put back whole, so all cases have one store.
  beforeAll(async () => {
    edited = await world(make);
    const by = { actor: "ann", requestId: "", action: "request_destruction", at } as const;
    whole = { ...edited.key, destruction, destroyWait };
    await edited.store.update(edited.key, whole, by);
    [row] = (await edited.door.sql("select * from kms_keys")) as [typeof row];
    return () => edited.store.close();
  });
  beforeEach(async () => {
    expect(await edited.store.get("acme", whole.keyId)).toEqual(whole);
    return () => put(row);
  });

  const fitting = (column: string, value: RowValue) => (numbers.includes(column) ? Number(value) : String(value));

  async function put(changes: Readonly<Record<string, RowValue>>): Promise<void> {
    const set = Object.keys(changes).map((column, index) => `${column} = ?${index + 1}`);
    await edited.door.sql(`update kms_keys set ${set.join(", ")}`, ...Object.values(changes));
  }

  it("is what was written", async () => {
    expect(await edited.store.get("acme", whole.keyId)).toEqual(whole);
    expect(pairs).toHaveLength(42);
  });

  it.each(pairs)("does not let %s and %s change places", async (one, other) => {
    await put({ [one]: fitting(one, row[other]!), [other]: fitting(other, row[one]!) });
    for (const error of await usesOf(edited)) expect(error).toBeKmsError("DATA_LOSS", whole.keyId);
  });

  it.each(pairs)("does not let %s be moved to %s", async (one, other) => {
    await put({ [one]: null, [other]: fitting(other, row[one]!) });
    for (const error of await usesOf(edited)) expect(error).toBeKmsError("DATA_LOSS", whole.keyId);
  });

  it.each(columns)("does not let %s be taken away, nor be moved to where nothing is", async (column) => {
    await put({ [column]: null });
    for (const error of await usesOf(edited)) expect(error).toBeKmsError("DATA_LOSS", whole.keyId);
    await put({ previous_state: String(row[column]) });
    for (const error of await usesOf(edited)) expect(error).toBeKmsError("DATA_LOSS", whole.keyId);
  });
});

/** A value with each of its bytes changed in turn; of a text those changes that leave it one. */
function neighbours(value: RowValue): RowValue[] {
  if (value === null) return [0];
  if (typeof value === "number") return wholeBytes.map((byte) => Number(BigInt(value) ^ byte));
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return Array.from(bytes, (_, index) => {
    const copy = Buffer.from(bytes);
    copy[index]! ^= 1;
    return typeof value === "string" ? copy.toString() : new Uint8Array(copy);
  });
}

/** One bit in each of the six bytes of a time. */
const wholeBytes = [0, 1, 2, 3, 4, 5].map((index) => 1n << BigInt(8 * index));
