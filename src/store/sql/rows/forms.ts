/**
 * The forms of rows. The number of its form is under a row's HMAC. A release that changes a form reads the new one and writes the old one; the
 * release after writes the new one, reads both, and writes old rows anew in the background (store/sql/upgrade/old-rows.ts).
 */
import type { TableName } from "./schema.ts";

export interface RowForms {
  /** Number of the form in which rows are written. */
  written: number;
  /** Numbers of all forms that are read, the written one first. */
  read: readonly number[];
}

const first: RowForms = { written: 1, read: [1] };

/** Tables whose rows have another form than the first one. */
const changed: Readonly<Partial<Record<TableName, RowForms>>> = {};

export function formsOf(table: string): RowForms {
  return changed[table as TableName] ?? first;
}
