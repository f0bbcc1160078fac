/** Rows and what they say: every row that is written gets its HMAC here, and every row that is read is authenticated here. */
import type { RowMac, RowValue } from "./mac.ts";
import { KmsError } from "../../../errors.ts";
import type { Destruction, DestroyWait, KeyRecord, KeyState, Purpose } from "../../key-record.ts";
import type { Query, Row } from "./database.ts";
import { type AnyTableName, allTables, laterColumns, type TableName, tables } from "./schema.ts";
import type { KeyName } from "../../key-store.ts";

const later: Partial<Record<TableName, readonly string[]>> = laterColumns;

/** What the HMAC covers: columns by their places, then those that came later by their names, where they hold something. */
export function valuesOf(table: TableName, row: Row): RowValue[] {
  const named = later[table] ?? [];
  const values = storedValues(table, row);
  if (named.length === 0) return values;
  const present = named.filter((column) => (row[column] ?? null) !== null);
  return [...values.slice(0, -named.length), ...present.flatMap((column) => [column, row[column]!])];
}

/** All columns but the HMAC, in their order: those that came later are the last. */
export function storedValues(table: TableName, row: Row): RowValue[] {
  return tables[table].slice(0, -1).map((column) => row[column] ?? null);
}

/** DATA_LOSS for a row that is not as it was written. `what` names it for the operator. */
export function authenticated(mac: RowMac, table: TableName, row: Row, what: string): Row {
  if (mac.matches(row.mac, table, valuesOf(table, row))) return row;
  throw altered(what);
}

export function altered(what: string): KmsError {
  return new KmsError(
    "DATA_LOSS",
    `${what} in the store is not as it was written: run fluo-kms check, and restore a backup`,
  );
}

/** Gives the row's HMAC. */
export async function insertRow(query: Query, mac: RowMac, table: TableName, row: Row): Promise<Uint8Array> {
  const columns = tables[table];
  const own = mac.of(table, valuesOf(table, row));
  const values = [...storedValues(table, row), own];
  await query(`insert into ${table} (${columns.join(", ")}) values (${placeholders(columns.length)})`, ...values);
  return own;
}

/** Saves round trips; but SQLite looks each parameter up by its number, one after the other. */
const rowsAStatement = 10;

/** Rows that have their HMAC, if they need one, each as its values in the order of the columns. */
export async function insertRows(query: Query, table: AnyTableName, rows: readonly RowValue[][]): Promise<void> {
  const columns = allTables[table];
  for (let start = 0; start < rows.length; start += rowsAStatement) {
    const some = rows.slice(start, start + rowsAStatement);
    const groups = some.map((_, index) => `(${placeholders(columns.length, index * columns.length)})`);
    await query(`insert into ${table} (${columns.join(", ")}) values ${groups.join(", ")}`, ...some.flat());
  }
}

/**
 * Replaces the row whose first column is this row's, and gives its HMAC. CONFLICT if there is none any more: another deleted it since it
 * was read.
 */
export async function updateRow(query: Query, mac: RowMac, table: TableName, row: Row): Promise<Uint8Array> {
  const [id, ...columns] = tables[table];
  const set = columns.map((column, index) => `${column} = ?${index + 2}`).join(", ");
  const own = mac.of(table, valuesOf(table, row));
  const text = `update ${table} set ${set} where ${id} = ?1 returning ${id}`;
  const updated = await query(text, ...storedValues(table, row), own);
  if (updated.length !== 1) throw new KmsError("CONFLICT", "another was first");
  return own;
}

export function placeholders(count: number, after = 0): string {
  return Array.from({ length: count }, (_, index) => `?${after + index + 1}`).join(", ");
}

export function keyRow(record: KeyRecord): Row {
  return {
    key_id: record.keyId,
    tenant_id: record.tenantId,
    purpose: record.purpose,
    version: record.version,
    state: record.state,
    provider: record.provider,
    provider_key_id: record.providerKeyId,
    wrapped: record.wrapped,
    public_key: record.publicKey,
    created_at: record.createdAt.getTime(),
    activated_at: time(record.activatedAt),
    retired_at: time(record.retiredAt),
    compromised_at: time(record.compromisedAt),
    destroy_at: time(record.destroyAt),
    previous_state: record.previousState ?? null,
    ...destructionRow(record.destruction),
    destroy_witnessed: record.destroyWait?.sinceMs ?? null,
    destroy_wait: record.destroyWait?.waitMs ?? null,
  };
}

/** The name of a rule has no space, so that the token's hash can follow it without a column of its own. */
function destructionRow(destruction: Destruction | undefined): Row {
  const { at, rule, token, days } = destruction?.request ?? {};
  return {
    destroy_by: destruction?.by ?? null,
    destroy_confirmed_by: destruction?.confirmedBy ?? null,
    destroy_rule: rule === undefined ? null : [rule, ...(token === undefined ? [] : [token])].join(" "),
    destroy_requested_at: time(at),
    destroy_days: days ?? null,
  };
}

/** DATA_LOSS for a row that fails its authentication. */
export function keyRecord(mac: RowMac, row: Row): KeyRecord {
  authenticated(mac, "kms_keys", row, `the record of key ${row.key_id}`);
  return {
    tenantId: String(row.tenant_id),
    purpose: row.purpose as Purpose,
    version: Number(row.version),
    keyId: String(row.key_id),
    state: row.state as KeyState,
    provider: String(row.provider),
    providerKeyId: String(row.provider_key_id),
    wrapped: bytes(row.wrapped),
    publicKey: bytes(row.public_key),
    createdAt: new Date(Number(row.created_at)),
    activatedAt: date(row.activated_at),
    retiredAt: date(row.retired_at),
    compromisedAt: date(row.compromised_at),
    destroyAt: date(row.destroy_at),
    destroyWait: destroyWaitOf(row),
    previousState: (row.previous_state ?? undefined) as KeyState | undefined,
    destruction: destructionOf(row),
  };
}

function destroyWaitOf({ destroy_witnessed, destroy_wait }: Row): DestroyWait | undefined {
  if ((destroy_witnessed ?? null) === null) return undefined;
  return { sinceMs: wholeNumber(destroy_witnessed), waitMs: wholeNumber(destroy_wait) };
}

function destructionOf(row: Row): Destruction | undefined {
  const by = words(row.destroy_by);
  if (by === undefined) return undefined;
  const at = date(row.destroy_requested_at);
  const [rule, token] = words(row.destroy_rule)?.split(" ") ?? [];
  const request = at && { at, rule, token, days: Number(row.destroy_days) };
  return { by, request, confirmedBy: words(row.destroy_confirmed_by) };
}

/** Text that may be absent. */
export function words(value: RowValue | undefined): string | undefined {
  return value === null || value === undefined ? undefined : String(value);
}

/** Not authenticated. */
export function keyName(row: Row): KeyName {
  return { tenantId: String(row.tenant_id), purpose: row.purpose as Purpose, keyId: String(row.key_id) };
}

/** The end of the year 9999: what a Timestamp can say. */
const lastMs = 253_402_300_799_999;

/** DATA_LOSS for what is no date that was ever written, in a row that nothing has authenticated. */
export function date(value: RowValue | undefined): Date | undefined {
  return value === null || value === undefined ? undefined : new Date(wholeNumber(value, lastMs));
}

/** Likewise. */
export function wholeNumber(value: RowValue | undefined, most = Number.MAX_SAFE_INTEGER): number {
  const number = Number(value ?? Number.NaN);
  if (Number.isSafeInteger(number) && number >= 0 && number <= most) return number;
  throw new KmsError("DATA_LOSS", "the store holds a number that was never written to it");
}

export function time(value: Date | undefined): number | null {
  return value?.getTime() ?? null;
}

export function bytes(value: RowValue | undefined): Uint8Array {
  return new Uint8Array(value as Uint8Array);
}
