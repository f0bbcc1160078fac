/**
 * The rows of a store, whole: read in pages, and written to another. Rows move between databases unchanged, because their HMACs are over
 * columns and values that both have. Three kinds stay behind: PENDING keys, which nobody uses yet, leases, which hold nothing but who
 * does some work now, and the count of commits, which is that of one file.
 */
import type { KeyState, Purpose } from "../key-record.ts";
import type { LogHead } from "../log-store.ts";
import type { Query, Row } from "../sql/rows/database.ts";
import { pages } from "../examine/pages.ts";
import { date, insertRows } from "../sql/rows/rows.ts";
import { type AnyTableName, allTables } from "../sql/rows/schema.ts";
import type { WrappedBy } from "../key-store.ts";

/** What was copied. */
export interface Contents {
  /** Undefined for a store that no service has used. The copy has the same. */
  storeId: string | undefined;
  keys: Record<Purpose, Partial<Record<KeyState, number>>>;
  auditEvents: number;
  /** When the newest of them happened: the copy is of that moment or soon after. */
  newestAuditAt: Date | undefined;
  /** Request ids that are remembered. */
  requests: { rotations: number; batches: number };
  logs: CopiedLog[];
  /** Of every table. */
  rows: Partial<Record<AnyTableName, number>>;
  /** Without which nothing of it opens. */
  providerKeys: ProviderKey[];
  /** Keys that are neither ACTIVE nor RETIRED. */
  notable: NotableKey[];
}

/** A log with its entries. */
export type CopiedLog = Pick<LogHead, "tenantId" | "number" | "origin" | "size" | "state">;

/** What a provider key has wrapped. */
export interface ProviderKey extends WrappedBy {
  /** Keys that are not DESTROYED. */
  keys: number;
  storeKey: boolean;
}

export interface NotableKey {
  tenantId: string;
  purpose: Purpose;
  version: number;
  keyId: string;
  state: KeyState;
  destroyAt: Date | undefined;
}

/** Which keys are copied. */
export const copiedKeys = "state <> 'PENDING'";

/** All of them but the heads. */
const logTables = [
  "kms_log_entries",
  "kms_log_hashes",
  "kms_log_requests",
  "kms_log_handovers",
  "kms_log_compromises",
] as const;

/** Writes a page of rows. */
export type Insert = (table: AnyTableName, rows: readonly Row[]) => Promise<void>;

export interface Copying {
  /** What becomes of the head of a log. */
  become?(log: Row): Row;
  /** Called with the number of rows copied so far. */
  copied?: ((rows: number) => void) | undefined;
}

/** Copies everything through `insert`, a page at a time. */
export async function copyRows(
  query: Query,
  insert: Insert,
  { become = (log) => log, copied = () => {} }: Copying = {},
): Promise<Contents> {
  const contents: Contents = {
    storeId: undefined,
    keys: { data: {}, signing: {} },
    auditEvents: 0,
    newestAuditAt: undefined,
    requests: { rotations: 0, batches: 0 },
    logs: [],
    rows: {},
    providerKeys: [],
    notable: [],
  };
  let all = 0;
  const copy = async (table: AnyTableName, count: (row: Row) => void = () => {}, condition = "1 = 1") => {
    contents.rows[table] = 0;
    for await (const page of pages(query, table, { condition })) {
      const rows = table === "kms_logs" ? page.map(become) : page;
      await insert(table, rows);
      contents.rows[table] += rows.length;
      all += rows.length;
      copied(all);
      rows.forEach(count);
    }
  };
  await copy("kms_store", (row) => {
    contents.storeId = String(row.store_id);
    providerKeyOf(contents.providerKeys, row).storeKey = true;
  });
  await copy("kms_keys", (row) => countKey(contents, row), copiedKeys);
  await copy("kms_requests");
  await copy("kms_time");
  await copy("kms_logs", (row) => contents.logs.push(copiedLog(row)));
  for (const table of logTables) await copy(table);
  await copy("kms_audit_writers");
  await copy("kms_audit", ({ at }) => {
    contents.auditEvents += 1;
    contents.newestAuditAt = new Date(Math.max(Number(at), contents.newestAuditAt?.getTime() ?? 0));
  });
  const { kms_requests: rotations = 0, kms_log_requests: batches = 0 } = contents.rows;
  return { ...contents, requests: { rotations, batches } };
}

/** Copied as they are, with their HMACs; audit rows get their ids anew, in their order. */
export function insertCopies(query: Query, table: AnyTableName, rows: readonly Row[]): Promise<void> {
  return insertRows(
    query,
    table,
    rows.map((row) => allTables[table].map((column) => row[column] ?? null)),
  );
}

/** What keeps a store from being empty, in words; undefined for an empty one. Its schema is not content. */
export async function contentOf(query: Query): Promise<string | undefined> {
  const [keys] = await query("select count(*) as count, count(distinct tenant_id) as tenants from kms_keys");
  const has = async (table: AnyTableName) => (await query(`select 1 as present from ${table} limit 1`)).length > 0;
  const [store] = await query("select * from kms_store");
  const found = [
    store && `a store key of ${new Date(Number(store.created_at)).toISOString()}`,
    Number(keys?.count) > 0 && `${keys?.count} keys of ${keys?.tenants} tenants`,
    (await has("kms_audit")) && "an audit trail",
    (await has("kms_audit_writers")) && "audit writers",
    (await has("kms_requests")) && "remembered requests",
    ((await has("kms_logs")) || (await has("kms_log_entries"))) && "logs",
    (await has("kms_leases")) && "leases",
  ].filter((each) => typeof each === "string");
  return found.length === 0 ? undefined : found.join(", ");
}

/** Of a record or the store key; added where it is not there yet. */
export function providerKeyOf(all: ProviderKey[], row: Row): ProviderKey {
  const [provider, providerKeyId] = [String(row.provider), String(row.provider_key_id)];
  const found = all.find((each) => each.provider === provider && each.providerKeyId === providerKeyId);
  if (found !== undefined) return found;
  const added = { provider, providerKeyId, keys: 0, storeKey: false };
  all.push(added);
  return added;
}

function copiedLog(row: Row): CopiedLog {
  return {
    tenantId: String(row.tenant_id),
    number: Number(row.number),
    origin: String(row.origin),
    size: Number(row.size),
    state: row.state as LogHead["state"],
  };
}

function countKey({ keys, notable, providerKeys }: Contents, row: Row): void {
  const [purpose, state] = [row.purpose as Purpose, row.state as KeyState];
  const states = keys[purpose] ?? {};
  states[state] = (states[state] ?? 0) + 1;
  if (state !== "DESTROYED") providerKeyOf(providerKeys, row).keys += 1;
  if (state === "ACTIVE" || state === "RETIRED") return;
  notable.push({
    tenantId: String(row.tenant_id),
    purpose,
    version: Number(row.version),
    keyId: String(row.key_id),
    state,
    destroyAt: date(row.destroy_at),
  });
}
