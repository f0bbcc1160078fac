/** Every statement of the store is found by an index that fits it: the planner of each database says so, over ten thousand keys. */
import { createSecretKey, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { headNotes, nothingNoted } from "../../../src/store/head-notes.ts";
import { rowMac } from "../../../src/store/sql/rows/mac.ts";
import { openPostgres, postgresDatabase } from "../../../src/store/postgres/open.ts";
import type { Database, Query } from "../../../src/store/sql/rows/database.ts";
import { auditChain, readAudit, recentTenants } from "../../../src/store/sql/audit.ts";
import { insertCopies } from "../../../src/store/offline/copy.ts";
import { sqlHeads } from "../../../src/store/sql/durable-heads.ts";
import { insertRow } from "../../../src/store/sql/rows/rows.ts";
import { countKeys } from "../../../src/store/sql/counts.ts";
import { embeddedDatabase, sqliteDialect } from "../../../src/store/sqlite/embedded.ts";
import { sqlLogs } from "../../../src/store/sql/logs.ts";
import { sqlKeys } from "../../../src/store/sql/keys.ts";
import { migrate } from "../../../src/store/sql/upgrade/migration.ts";
import { countWrappedByOthers, wrappedByOthers } from "../../../src/store/sql/wrapped-under.ts";
import type { Store } from "../../../src/store/store.ts";
import { grown, newLog } from "../../support/log-store-fixture.ts";
import { postgresAvailable } from "../../support/postgres-cluster.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";
import { realTime } from "../../../src/runtime/time.ts";

type Statement = Parameters<Query>;

const oldest = { provider: "local", providerKeyId: "" };
const current = { provider: "vault", providerKeyId: "" };
const should = { current, tenants: new Map<string, typeof current>() };
const shouldOfTenants = { current: oldest, tenants: new Map([["tenant-7", current]]) };

const anyTime = new Date(50);
const rare = { limit: 10, state: "COMPROMISED" } as const;
const laterKey = { tenantId: "tenant-7", purpose: "data", version: 1 } as const;
const wrappedTwice = ["kms_keys_wrapped", "kms_keys_wrapped"];
const waiting = ["kms_keys_(wait|state|destroy)"];

/** What each call looks at, by the name of an index; `primary` is that of the table. */
const calls: [name: string, indexes: string[], call: (store: Store) => Promise<unknown>][] = [
  ["the ACTIVE key", ["kms_keys_active"], (store) => store.active("tenant-7", "data")],
  ["a key", ["primary"], (store) => store.get("tenant-7", "key-28")],
  ["a key that is not there", ["primary", "kms_audit_(key|births)"], (store) => store.get("tenant-7", "none")],
  ["a tenant's keys", ["kms_keys_version"], (store) => store.list("tenant-7", "data")],
  ["no keys", ["kms_keys_version", "kms_audit_(tenant|births)"], (store) => store.list("none", "data")],
  ["the last version", ["kms_keys_version"], (store) => store.lastVersion("tenant-7", "data")],
  ["a page of all keys", ["kms_keys_version"], (store) => store.listKeys({ limit: 10 })],
  ["a later page", ["kms_keys_version"], (store) => store.listKeys({ limit: 10, after: laterKey })],
  ["a page of one purpose", ["kms_keys_version"], (store) => store.listKeys({ limit: 10, purpose: "signing" })],
  ["a page of a rare state", ["kms_keys_state"], (store) => store.listKeys(rare)],
  ["one of a rare state and a purpose", ["kms_keys_state"], (store) => store.listKeys({ ...rare, purpose: "data" })],
  [
    "one of a tenant",
    ["kms_keys_(version|state|active)"],
    (store) => store.listKeys({ limit: 10, tenantId: "tenant-7" }),
  ],
  ["due keys", ["kms_keys_due", "kms_keys_due"], (store) => store.due(anyTime, 10)],
  ["due keys of one purpose", ["kms_keys_due", "kms_keys_due"], (store) => store.due(anyTime, 10, "data")],
  [
    "requests for destruction",
    ["kms_keys_requested"],
    (store) => store.destructionRequests({ after: new Date(0), until: anyTime, limit: 10 }),
  ],
  [
    "keys to destroy",
    ["kms_keys_wait"],
    (store) => store.destroyable({ at: anyTime, endedMs: 50, longEndedMs: 40 }, 10),
  ],
  ["destructions without a wait", waiting, (store) => store.unwitnessedDestructions(50, 10)],
  ["destructions that wait", waiting, (store) => store.destructionsWaiting(10)],
  [
    "keys under another provider key",
    [...wrappedTwice, ...wrappedTwice],
    (store) => store.wrappedByOthers(should, { limit: 10 }),
  ],
  [
    "a later page of them",
    [...wrappedTwice, ...wrappedTwice],
    (store) => store.wrappedByOthers(should, { limit: 10, after: { ...oldest, keyId: "key-28" } }),
  ],
  [
    "keys of tenants that have a provider key of their own",
    [...wrappedTwice, "kms_keys_wrapped", "kms_keys_version", "kms_keys_wrapped"],
    (store) => store.wrappedByOthers(shouldOfTenants, { limit: 10 }),
  ],
  ["abandoned keys", ["kms_keys_pending"], (store) => store.deletePendingBefore(anyTime)],
  ["a request", ["primary"], (store) => store.request("tenant-7", "request-7")],
  ["old requests", ["kms_requests_at"], (store) => store.deleteRequestsBefore(anyTime)],
  ["a tenant's audit rows", ["kms_audit_tenant"], (store) => store.auditEvents({ tenantId: "tenant-7", limit: 10 })],
  ["tenants that were lately active", ["(INTEGER PRIMARY KEY|kms_audit_pkey)"], (store) => store.recentTenants(10)],
  ["a tenant's log", ["kms_logs_primary"], (store) => store.logHead("tenant-7")],
  ["a log", ["kms_logs_primary"], (store) => store.logHead("tenant-7", 1)],
  ["a tenant's logs", ["kms_logs_primary"], (store) => store.logHeads("tenant-7")],
  [
    "the number of a tenant's next log",
    ["kms_logs_primary", "kms_audit_restores", "kms_leases_primary"],
    (store) => store.nextLogNumber("none"),
  ],
  ["a batch", ["kms_log_requests_primary"], (store) => store.logRequest(log, "request-7")],
  ["old batches", ["kms_log_requests_at"], (store) => store.deleteLogRequestsBefore(anyTime)],
  ["a tile", ["kms_log_hashes_primary"], (store) => store.logHashes(log, 0, 0)],
  ["a bundle", ["kms_log_entries_primary"], (store) => store.logEntries(log, 0)],
  ["a tenant's handovers", ["kms_log_handovers_primary"], (store) => store.logHandovers("tenant-7")],
  ["a tenant's compromised keys", ["kms_log_compromises_primary"], (store) => store.logCompromises("tenant-7")],
  ["what accepts a heads file", ["kms_audit_tenant"], (store) => store.acceptsHeads("0")],
  ["a key's audit rows", ["kms_audit_key"], (store) => store.auditEvents({ keyId: "key-28", limit: 10 })],
];

const log = { tenantId: "tenant-7", number: 1 };
const group = { ...grown(newLog(log), 0), expect: { ...newLog(log), size: 1_000_000 } };

const counts = ["kms_keys_due", "kms_keys_retired", "kms_keys_pending", "kms_keys_state"];

const mac = rowMac(createSecretKey(randomBytes(32)));

const bytes = new Uint8Array(32);
const all = <T>(value: T, columns: string) => Object.fromEntries(columns.split(" ").map((column) => [column, value]));
/** What is the same in each row, by the names of all tables' columns. */
const common = {
  ...all(bytes, "wrapped public_key mac root frontier data entry"),
  ...all("", "provider_key_id writer_id digest holder origin from_key_id to_key_id proof actor outcome action"),
  ...all(0, "level first_index expires_at"),
  ...all(1, "count number generation"),
};

/** The n-th row of any table. A tenant has `perTenant`. */
function rowOf(n: number, perTenant: number) {
  const isActive = n % 2 === 1;
  const names = { tenant_id: `tenant-${Math.floor(n / perTenant)}`, key_id: `key-${n}`, request_id: `request-${n}` };
  const key = { purpose: n % 4 < 2 ? "data" : "signing", version: 1 + (n % 2), state: isActive ? "ACTIVE" : "RETIRED" };
  const times = { created_at: n, activated_at: n, retired_at: isActive ? null : n, changed_at: n, signed_at: n, at: n };
  const places = { name: `lease-${n}`, sequence: n, size: n, start: n % 2, entry_index: n % 2 };
  return { ...common, ...names, ...key, ...times, ...places, provider: n % 5 === 0 ? "vault" : "local" };
}

/** Rows that nobody authenticates: only the planner looks at them. */
async function fill(db: Database, analyze: string): Promise<void> {
  const numbers = Array.from({ length: 10_000 }, (_, index) => index);
  await db.write(async ({ query }) => {
    for (const table of ["kms_keys", "kms_audit", "kms_requests", "kms_leases"] as const) {
      await insertCopies(
        query,
        table,
        numbers.map((n) => rowOf(n, 4)),
      );
    }
    // A log of a tenant has two pieces of everything.
    for (const table of ["entries", "hashes", "requests", "handovers", "compromises"] as const) {
      await insertCopies(
        query,
        `kms_log_${table}`,
        numbers.map((n) => rowOf(n, 2)),
      );
    }
    const heads = numbers.map((n) => ({ ...rowOf(n, 2), number: 1 + (n % 2), state: "open" }));
    await insertCopies(query, "kms_logs", heads);
    const store = { id: 1, store_id: "", provider: "local", provider_key_id: "", wrapped: bytes };
    await insertRow(query, mac, "kms_store", { ...store, created_at: 0, writers: 0 });
  });
  await db.read((query) => query(analyze));
}

/** The statements that a call makes, whatever comes of it: the rows are not authentic. */
async function statementsOf(
  db: Database,
  call: (store: Store, db: Database) => Promise<unknown>,
): Promise<Statement[]> {
  const made: Statement[] = [];
  const noted =
    (query: Query): Query =>
    (text, ...values) => {
      made.push([text, ...values]);
      return query(text, ...values);
    };
  const noting: Database = {
    ...db,
    read: (work) => db.read((query) => work(noted(query))),
    write: (work) => db.write((tx) => work({ ...tx, query: noted(tx.query) })),
  };
  const notes = headNotes();
  const chain = auditChain(mac, "writer");
  const store = {
    ...sqlKeys(noting, mac, { chain, notes }),
    ...sqlHeads(noting, mac, { chain, notes }),
    ...sqlLogs(noting, mac, notes),
    auditEvents: (page) => noting.read((query) => readAudit(query, page)),
    recentTenants: (limit) => noting.read((query) => recentTenants(query, limit)),
    wrappedByOthers: (by, page) => noting.read((query) => wrappedByOthers(query, by, page)),
  } as Store;
  await call(store, noting).catch(() => {});
  return made;
}

/** `primary` alone is of whatever table the statement names first. */
function indexOf(name: string, primary: (table: string) => string): string {
  return name.replace(/^(?:(\w+)_)?primary$/, (_, table = "kms_\\w+") => primary(table));
}

interface Planner {
  explain(statement: Statement): Promise<string>;
  /** What the planner calls the index of a table's primary key. */
  primary(table: string): string;
  /** A table that is read whole. */
  whole: RegExp;
  /** The index of what wrapped which key, read without its table. */
  only: RegExp;
}

/** Commits that are counted look at the head once more. */
function plansOf(open: () => Promise<Database>, analyze: string, planner: (db: Database) => Planner, looks = 1) {
  const append: (typeof calls)[number] = [
    "the head of a log to append to",
    Array.from({ length: looks }, () => "kms_logs_primary"),
    (store) => store.appendLog(group),
  ];
  let db: Database;
  beforeAll(async () => {
    db = await open();
    await fill(db, analyze);
  });
  afterAll(() => db.close());

  it.each([...calls, append])("finds %s by %s", async (_name, indexes, call) => {
    const { explain, primary, whole } = planner(db);
    const statements = await statementsOf(db, call);
    expect(statements).toHaveLength(indexes.length);
    for (const [turn, statement] of statements.entries()) {
      const plan = await explain(statement);
      expect(plan).toMatch(new RegExp(indexOf(indexes[turn]!, primary)));
      expect(plan).not.toMatch(whole);
    }
  });

  it("compares what was noted, and finds what is new, by indexes", async () => {
    const { explain, whole } = planner(db);
    const members = Array.from({ length: 3 }, (_, n) => n);
    const noted = {
      ...nothingNoted,
      writers: members.map((n) => ({ writerId: `ended-${n}`, sequence: n, mac: new Uint8Array(32) })),
      logs: members.map((n) => ({ tenantId: `tenant-${n}`, number: 1, size: n, root: new Uint8Array(32) })),
      keys: members.map((n) => ({ ...log, purpose: "data", keyId: `key-${n}`, version: 1, state: "ACTIVE" }) as const),
    };
    const all = await statementsOf(db, (store) => store.takeHeads(noted));
    const statements = all.filter(([text]) => !/from kms_(store|commits)$|pg_is_in_recovery/.test(text)); // a row each
    expect(statements).toHaveLength(5);
    for (const plan of await Promise.all(statements.map(explain))) expect(plan).not.toMatch(whole);
  });

  it("counts in indexes alone", async () => {
    const { explain, whole } = planner(db);
    const statements = await statementsOf(db, (_store, noting) => countKeys(noting, 1000));
    const plans = await Promise.all(statements.map(explain));
    for (const index of counts) expect(plans.join("\n")).toContain(index);
    for (const plan of plans) expect(plan).not.toMatch(whole);
  });

  it("counts keys under another provider key in one index, without their rows", async () => {
    const { explain, only } = planner(db);
    const statements = await statementsOf(db, (_store, noting) => countWrappedByOthers(noting, should, 3_000));
    expect(statements).toHaveLength(6);
    for (const statement of statements) expect(await explain(statement)).toMatch(only);
  });
}

describe("the plans of SQLite", () => {
  plansOf(
    async () => {
      const db = embeddedDatabase({ time: realTime, file: ":memory:", soon: setImmediate });
      await db.write((tx) => migrate(tx, sqliteDialect));
      return db;
    },
    "analyze",
    (db) => ({
      async explain([text, ...values]) {
        const rows = await db.read((query) => query(`explain query plan ${text}`, ...values));
        return rows.map(({ detail }) => detail).join("\n");
      },
      primary: (table) => `sqlite_autoindex_${table}_`,
      whole: /SCAN kms_\w+$/m,
      only: /SEARCH kms_keys USING COVERING INDEX kms_keys_wrapped/,
    }),
    2,
  );
});

describe.skipIf(!postgresAvailable() && !process.env.CI)("the plans of PostgreSQL", async () => {
  const server = await sharedPostgres();
  afterAll(() => server.close());
  plansOf(
    async () => {
      const url = await server.createDatabase();
      await (await openPostgres({ name: "postgres", url, maxConnections: 1 }, realTime)).close();
      return postgresDatabase({ url }, 2, realTime);
    },
    "vacuum analyze", // as autovacuum does: else no index is enough without the table
    (db) => ({
      async explain([text, ...values]) {
        const rows = await db.read((query) => query(`explain ${text}`, ...values));
        return rows.map((row) => row["QUERY PLAN"]).join("\n");
      },
      primary: (table) => `${table}_pkey`,
      whole: /Seq Scan/,
      only: /Index Only Scan using kms_keys_wrapped/,
    }),
  );
});
