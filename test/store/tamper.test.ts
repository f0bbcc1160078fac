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
import { addKey, type Backdoor, bothBackdoors, keptRow, pendingKey, unlocked } from "../support/store-fixture.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

const kinds = bothBackdoors(server);
const ann = { actor: "ann", requestId: "" };

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

/** Changes each byte of the row in turn, and each time looks at what comes of it. The row is put back. */
async function flipEach(
  door: Backdoor,
  { table, where, columns }: { table: string; where?: string; columns: readonly string[] },
  look: (what: string) => Promise<void>,
): Promise<number> {
  const { row, put } = await keptRow(door, table, where);
  let flips = 0;
  for (const column of columns) {
    for (const value of neighbours(row[column]!)) {
      await put({ [column]: value });
      flips += 1;
      await look(`${column} ${flips}`);
    }
    await put({ [column]: row[column]! });
  }
  return flips;
}

const allBut = (table: keyof typeof tables, ...names: string[]) =>
  tables[table].filter((name) => !names.includes(name));

describe.each(kinds)("an edited %s database", (_name, make) => {
  let door: Backdoor;
  let store: Store;
  let key: KeyRecord;
  beforeEach(async () => {
    ({ door, store, key } = await world(make));
    return () => store.close();
  });

  const uses = () => usesOf({ door, store, key });

  it("never passes for what was written, whichever byte of a record was flipped", async () => {
    const flips = await flipEach(door, { table: "kms_keys", columns: tables.kms_keys }, async (what) => {
      // Under another tenant, purpose or id it is a key that was never made, and the one that was made is missed.
      for (const error of await uses()) expect(error, what).toBeKmsError("DATA_LOSS");
    });
    expect(flips).toBeGreaterThan(150);
    expect(await store.active("acme", "signing")).toEqual(key);
  });

  it("does not let two tenants' wrapped keys change places", async () => {
    const other = await addKey(store, { tenantId: "other", purpose: "signing", publicKey: randomBytes(32) });
    const theirs = await keptRow(door, "kms_keys", `key_id = '${other.keyId}'`);
    await theirs.put({ wrapped: theirs.row.wrapped!, mac: theirs.row.mac! }, `key_id = '${key.keyId}'`);
    expect(await thrownBy(() => store.active("acme", "signing"))).toBeKmsError("DATA_LOSS", key.keyId);
    expect(await store.active("other", "signing")).toEqual(other);
  });

  it("does not let a compromised key be active again", async () => {
    const by = { ...ann, action: "mark_compromised", at: new Date() } as const;
    await store.update(key, { ...key, state: "COMPROMISED", compromisedAt: new Date(), previousState: "ACTIVE" }, by);
    await door.sql("update kms_keys set state = 'ACTIVE'");
    for (const error of await uses()) expect(error).toBeKmsError("DATA_LOSS", key.keyId);
  });

  it("does not make a first key for a tenant whose record was removed", async () => {
    await door.sql("delete from kms_keys");
    for (const error of await uses()) expect(error).toBeKmsError("DATA_LOSS", "gone");
    const fresh = { purpose: "signing", keyId: randomBytes(16).toString("hex") } as const;
    await store.insertPending({ ...key, ...fresh });
    const first = { tenantId: "acme", ...fresh, expect: "no-version", at: new Date(), by: ann } as const;
    expect(await thrownBy(() => store.activate(first))).toBeKmsError("DATA_LOSS", "gone");
  });

  it("believes no witnessed time that was edited, and destroys nothing by it", async () => {
    const time = { witnessedMs: 5, wallAt: new Date(1_767_323_045_678), secondAt: new Date(1_767_323_045_679) };
    await store.noteWitnessedTime(undefined, time);
    const destroyWait = { sinceMs: 0, waitMs: 5 };
    const scheduled = { ...key, state: "DESTROY_SCHEDULED", destroyAt: new Date(0), destroyWait } as const;
    const by = { ...ann, at: new Date() };
    await store.update(key, scheduled, { ...by, action: "schedule_destruction" });
    const destroyed = { ...scheduled, state: "DESTROYED", wrapped: new Uint8Array() } as const;
    const destroy = () => store.update(scheduled, destroyed, { ...by, action: "destroy", leastWitnessedMs: 5 });
    await flipEach(door, { table: "kms_time", columns: allBut("kms_time", "id") }, async (what) => {
      expect(await thrownBy(() => store.witnessedTime()), what).toBeKmsError("DATA_LOSS", "witnessed time");
      expect(await thrownBy(() => store.noteWitnessedTime(time, time)), what).toBeKmsError("DATA_LOSS");
      expect(await thrownBy(destroy), what).toBeKmsError("DATA_LOSS");
    });
    expect((await store.witnessedTime()).noted).toEqual(time);
    expect(await store.get("acme", key.keyId)).toEqual(scheduled);
    await destroy();
  });

  it("shows a remembered request that was edited", async () => {
    const data = await addKey(store);
    const request = { requestId: "r1", digest: "aa" };
    const fresh = { ...data, keyId: randomBytes(16).toString("hex") };
    await store.insertPending(fresh);
    await store.activate({ ...fresh, expect: { active: data.keyId }, at: new Date(), by: ann, request });
    await door.sql("update kms_requests set digest = 'bb'");
    expect(await thrownBy(() => store.request("acme", "r1"))).toBeKmsError("DATA_LOSS");
  });

  it("shows a lease of which somebody changed when its work was done", async () => {
    const { generation } = await store.lease("backup", "a", 60_000);
    await store.finishLease({ name: "backup", generation: generation! }, new Date(0));
    await door.sql("update kms_leases set finished_at = ?1", msFromNow(0));
    expect(await thrownBy(() => store.leaseFinishedAt("backup"))).toBeKmsError("DATA_LOSS", "the lease backup");
  });

  describe("of logs", () => {
    const acme = { tenantId: "acme", number: 1 };
    const ofAcme = "tenant_id = 'acme'";
    const headOfAcme = "head of log 1 of tenant acme";
    let head: LogHead;
    beforeEach(async () => {
      await store.createLog(newLog());
      await store.createLog(newLog({ tenantId: "other" }));
      const batch = { requestId: "r1", digest: "aa", signedAt: new Date(), firstIndex: 0, count: 5 };
      head = await append(newLog(), 5, [batch]);
    });

    async function append(expect: LogHead, count: number, requests: LogRequest[] = []): Promise<LogHead> {
      const group = grown(expect, count, requests);
      await store.appendLog(group);
      return { ...expect, ...group.next };
    }

    it("gives no head of which a byte was flipped", async () => {
      const columns = allBut("kms_logs", "tenant_id", "number");
      const flips = await flipEach(door, { table: "kms_logs", where: ofAcme, columns }, async (what) => {
        const reads = [() => store.logHead("acme"), () => store.logHeads("acme"), () => store.createLog(newLog())];
        for (const read of reads) expect(await thrownBy(read), what).toBeKmsError("DATA_LOSS", headOfAcme);
      });
      expect(flips).toBeGreaterThan(100);
      expect(await store.logHead("acme")).toEqual(head);
    });

    it("gives no head of another tenant, or of another log", async () => {
      const others = await keptRow(door, "kms_logs", "tenant_id = 'other'");
      await others.put({ ...others.row, tenant_id: "acme" }, ofAcme);
      expect(await thrownBy(() => store.logHead("acme"))).toBeKmsError("DATA_LOSS");
      await others.put({ number: 2 });
      expect(await thrownBy(() => store.logHead("other"))).toBeKmsError("DATA_LOSS");
    });

    it("does not append behind a head that was put back: what came after it is in the way", async () => {
      const before = await keptRow(door, "kms_logs", ofAcme);
      await append(head, 7);
      await before.putBack();
      expect(await store.logHead("acme")).toEqual(head); // a whole row of its own is authentic
      for (const count of [1, 7, 300]) {
        expect(await thrownBy(() => append(head, count))).toBeKmsError("DATA_LOSS", "set back");
      }
      expect(await store.logHead("acme")).toEqual(head);
    });

    it("does not begin a log anew whose head was removed", async () => {
      await door.sql(`delete from kms_logs where ${ofAcme}`);
      await store.createLog(newLog());
      expect(await thrownBy(() => append(newLog(), 3))).toBeKmsError("DATA_LOSS", "set back");
    });

    it("lets a key be marked as compromised whatever was done to the head, and then records none", async () => {
      await door.sql(`update kms_logs set size = 2 where ${ofAcme}`);
      const mark = { ...ann, action: "mark_compromised", at: new Date() } as const;
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
        by: ann,
        outgoing: "COMPROMISED",
        expect: { active: key.keyId },
        handover: { append: grown(head, 1), handover },
      });
      const reads = {
        kms_log_requests: () => store.logRequest(acme, "r1"),
        kms_log_handovers: () => store.logHandovers("acme"),
        kms_log_compromises: () => store.logCompromises("acme"),
      };
      const edits: [table: keyof typeof reads, column: string, value: RowValue][] = [
        ["kms_log_requests", "digest", "bb"],
        ["kms_log_requests", "first_index", 1],
        ["kms_log_handovers", "to_key_id", "cc"],
        ["kms_log_handovers", "proof", "forged"],
        ["kms_log_compromises", "size", 1_000_000],
        ["kms_log_compromises", "key_id", "dd"],
      ];
      for (const [table, column, value] of edits) {
        const { put, putBack } = await keptRow(door, table, ofAcme);
        await reads[table]();
        await put({ [column]: value });
        expect(await thrownBy(reads[table]), `${table} ${column}`).toBeKmsError("DATA_LOSS");
        await putBack();
      }
    });

    it("gives no bundle or tile with a gap", async () => {
      await append(await append(head, 3), 3);
      for (const table of ["entries", "hashes"]) await door.sql(`delete from kms_log_${table} where start = 5`);
      for (const read of [() => store.logEntries(acme, 0), () => store.logHashes(acme, 0, 0)])
        expect(await thrownBy(read)).toBeKmsError("DATA_LOSS", "log 1 of tenant acme");
    });

    it("gives no bundle of a few bytes that say they are four gigabytes", async () => {
      const run = { form: new Uint8Array(65_535), places: [], count: 65_535, shown: new Uint8Array() };
      await door.sql("update kms_log_entries set data = ?1", packRuns([run]));
      expect(await thrownBy(() => store.logEntries(acme, 0))).toBeKmsError("DATA_LOSS", "log 1 of tenant acme");
    });
  });

  it("is not opened without its store key, nor with another's", async () => {
    const own = await keptRow(door, "kms_store");
    const stranger = await make();
    await (await unlocked(await stranger.open())).close();
    const { row: foreign } = await keptRow(stranger, "kms_store");
    await own.put(foreign);
    const locked = await door.open();
    expect(await locked.storeKey()).toMatchObject({ storeId: foreign.store_id });
    expect(await thrownBy(() => unlocked(locked))).toBeKmsError("DATA_LOSS");
    await door.sql("delete from kms_store");
    expect(await thrownBy(() => locked.storeKey())).toBeKmsError("DATA_LOSS", "no store key");
    expect(await thrownBy(() => unlocked(locked))).toBeKmsError("DATA_LOSS", "no store key");
    await locked.close();
    expect(own.row.store_id).not.toBe(foreign.store_id);
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
      const event = { ...ann, at: new Date(), action: "sign_span", tenantId: "acme", purpose: "signing" } as const;
      const rows = [2, 3, 4, 5].map((count) => ({ ...event, keyId: key.keyId, outcome: "OK", count }) as const);
      await store.appendAudit(rows);
    });

    async function problems(): Promise<AuditProblem[]> {
      const { problems, events, next } = await store.verifyAudit(undefined, 100);
      expect(events).toBeGreaterThan(0);
      expect(next).toBeUndefined();
      return problems;
    }

    it("names the one that was edited, whichever byte", async () => {
      const columns = allBut("kms_audit", "writer_id", "sequence");
      await flipEach(door, { table: "kms_audit", where: "sequence = 3", columns }, async (what) => {
        expect(await problems(), what).toContainEqual(expect.objectContaining({ sequence: 3 }));
      });
      expect(await problems()).toEqual([]);
    });

    it("names the one that was removed", async () => {
      await door.sql("delete from kms_audit where sequence = 3");
      expect(await problems()).toMatchObject([{ sequence: 3, what: "row 3 is missing" }]);
    });

    it("names those that were cut at the end, and a head that was set back to hide it", async () => {
      await door.sql("delete from kms_audit where sequence > 3");
      const cut = expect.stringMatching(/^rows 4 to 5 are missing.*tail/);
      expect(await problems()).toMatchObject([{ sequence: 4, what: cut }]);
      const third = "(select mac from kms_audit where sequence = 3)";
      await door.sql(`update kms_audit_writers set sequence = 3, head = ${third}`);
      expect(await problems()).toMatchObject([{ sequence: 0, what: expect.stringContaining("head") }]);
    });

    it.each([
      ["taken from it", "update kms_audit set rule = null where sequence = 6", 6],
      ["given to it", "update kms_audit set rule = 'ops' where sequence = 5", 5],
      ["another's", "update kms_audit set rule = 'web' where sequence = 6", 6],
      ["moved to its request_id", "update kms_audit set rule = null, request_id = 'ops' where sequence = 6", 6],
    ])("names one whose rule was %s", async (_what, statement, sequence) => {
      const by = { ...ann, rule: "ops", action: "disable", at: new Date() } as const;
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
      const head = await keptRow(door, "kms_audit_writers");
      await addKey(store);
      await door.sql("delete from kms_audit where sequence > 5");
      await head.putBack();
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
  let kept: Awaited<ReturnType<typeof keptRow>>;
  // Only this row is edited, and it is put back whole, so all cases have one store.
  beforeAll(async () => {
    edited = await world(make);
    whole = { ...edited.key, destruction, destroyWait };
    await edited.store.update(edited.key, whole, { ...ann, action: "request_destruction", at });
    kept = await keptRow(edited.door, "kms_keys");
    return () => edited.store.close();
  });
  beforeEach(async () => {
    expect(await edited.store.get("acme", whole.keyId)).toEqual(whole);
    return kept.putBack;
  });

  const fitting = (column: string, from: string) =>
    numbers.includes(column) ? Number(kept.row[from]) : String(kept.row[from]);

  async function refuses(changes: Readonly<Record<string, RowValue>>): Promise<void> {
    await kept.put(changes);
    for (const error of await usesOf(edited)) expect(error).toBeKmsError("DATA_LOSS", whole.keyId);
  }

  it("is what was written", async () => {
    expect(await edited.store.get("acme", whole.keyId)).toEqual(whole);
    expect(pairs).toHaveLength(42);
  });

  it.each(pairs)("does not let %s and %s change places, nor one be moved to the other", async (one, other) => {
    await refuses({ [one]: fitting(one, other), [other]: fitting(other, one) });
    await refuses({ [one]: null, [other]: fitting(other, one) });
  });

  it.each(columns)("does not let %s be taken away, nor be moved to where nothing is", async (column) => {
    await refuses({ [column]: null });
    await refuses({ previous_state: String(kept.row[column]) });
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
