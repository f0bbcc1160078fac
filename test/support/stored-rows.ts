/** Rows of a store as they are in its database, from test/vectors/store: with HMACs that are another program's. */
import { createSecretKey } from "node:crypto";
import type { Database } from "../../src/store/sql/rows/database.ts";
import type { RowValue } from "../../src/store/sql/rows/mac.ts";
import vectors from "../vectors/store/rows.json" with { type: "json" };

type Shown = string | number | null | { hex: string };
export type StoredRow = Record<string, RowValue>;

function rowsOf(tables: Record<string, Record<string, Shown>[]>): Record<string, StoredRow[]> {
  const stored = (row: Record<string, Shown>) =>
    Object.fromEntries(Object.entries(row).map(([column, value]) => [column, bytesOrPlain(value)]));
  return Object.fromEntries(Object.entries(tables).map(([table, rows]) => [table, rows.map(stored)]));
}

function bytesOrPlain(value: Shown): RowValue {
  return typeof value === "object" && value !== null ? new Uint8Array(Buffer.from(value.hex, "hex")) : value;
}

export const storeKeyOfRows = createSecretKey(Buffer.from(vectors.storeKey, "hex"));

/** As a service of that schema version leaves them. */
export const storedRows = {
  version5: rowsOf(vectors.version5),
  version6: rowsOf(vectors.version6 as Record<string, Record<string, Shown>[]>),
};

/** Whatever columns they have that hold something. */
export async function insertStored(db: Database, table: string, rows: readonly StoredRow[]): Promise<void> {
  for (const row of rows) {
    const columns = Object.keys(row).filter((column) => row[column] !== null);
    const places = columns.map((_, index) => `?${index + 1}`);
    const text = `insert into ${table} (${columns.join(", ")}) values (${places.join(", ")})`;
    await db.write(({ query }) => query(text, ...columns.map((column) => row[column]!)));
  }
}
