/** Rows of a form that is read and not written any more are written anew, a page at a time. Nothing but their HMAC changes. */
import { step } from "../../../failpoints.ts";
import { orders, pageOf } from "../../examine/pages.ts";
import type { RewritePlace, RewrittenPage } from "../../upgrade-store.ts";
import type { Database, HeadTable, Row } from "../rows/database.ts";
import { formsOf, type RowForms } from "../rows/forms.ts";
import type { RowMac } from "../rows/mac.ts";
import { bytes, valuesOf } from "../rows/rows.ts";
import { type TableName, tables } from "../rows/schema.ts";
import type { Place } from "../rows/walk.ts";

/** Transactions at once. Each has one row, so that it never waits for a call that waits for it. */
const atOnce = 4;

/** Gives the page at `at`, or the first one. A row that is not as it was written stays so: the examination of the store names it. */
export async function rewritePage(
  db: Database,
  mac: RowMac,
  at: RewritePlace | undefined,
  forms: (table: string) => RowForms = formsOf,
): Promise<RewrittenPage> {
  const names = tablesToRewrite(forms);
  const table = at === undefined ? names[0] : (at.table as TableName);
  if (table === undefined) return { rewritten: 0, next: undefined };
  const { rows, next } = await db.read((query) => pageOf(query, table, at?.after as Place | undefined));
  const old = rows.filter((row) => isOld({ mac, forms }, table, row));
  for (let start = 0; start < old.length; start += atOnce) {
    await Promise.all(old.slice(start, start + atOnce).map((row) => rewrite(db, mac, table, row)));
  }
  if (next !== undefined) return { rewritten: old.length, next: { table, after: next } };
  const following = names[names.indexOf(table) + 1];
  return { rewritten: old.length, next: following && { table: following, after: undefined } };
}

/** Audit rows are never written anew: their HMACs are chained, and noted elsewhere. Each of their forms is read for ever. */
function tablesToRewrite(forms: (table: string) => RowForms): TableName[] {
  const names = Object.keys(tables) as TableName[];
  return names.filter((name) => name !== "kms_audit" && forms(name).read.length > 1);
}

function isOld(
  { mac, forms }: { mac: RowMac; forms: (table: string) => RowForms },
  table: TableName,
  row: Row,
): boolean {
  const form = mac.formOf(row.mac, table, valuesOf(table, row));
  return form !== undefined && form !== forms(table).written;
}

/** One that somebody changes meanwhile is left: it gets the form of whoever writes it. */
async function rewrite(db: Database, mac: RowMac, table: TableName, row: Row): Promise<void> {
  const key = orders[table];
  const [before, after] = [bytes(row.mac), mac.of(table, valuesOf(table, row))];
  const where = key.map((column, index) => `${column} = ?${index + 3}`).join(" and ");
  const text = `update ${table} set mac = ?1 where mac = ?2 and ${where} returning ${key[0]}`;
  await db.write(async (tx) => {
    const replaced = await tx.query(text, after, before, ...key.map((column) => row[column]!));
    step("rows.rewritten");
    if (replaced.length > 0 && isHead(table)) tx.headChanged?.({ table, before, after });
  });
}

function isHead(table: TableName): table is HeadTable & TableName {
  return table === "kms_logs" || table === "kms_audit_writers";
}
