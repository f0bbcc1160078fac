/** About how many rows whole-store commands go through: for those who wait for them, while the store may be in use. */
import { describedTables } from "../examine/table-rows.ts";
import type { Query } from "../sql/rows/database.ts";
import { type AnyTableName, allTables } from "../sql/rows/schema.ts";
import { copiedKeys } from "./copy.ts";

export interface RowCounts {
  copied: number;
  /** A check reads keys and their rows in the trail twice: for each key's life, and for versions and chains. */
  checked: number;
  /** Entries of logs. */
  entries: number;
}

/** Tables that a copy leaves out. */
const notCopied: readonly AnyTableName[] = ["kms_leases", "kms_replicas", "kms_commits"];

export async function rowCounts(query: Query): Promise<RowCounts> {
  const numberIn = async (text: string) => Number((await query(text))[0]?.number);
  const countOf = async (tables: readonly AnyTableName[], condition = "1 = 1") => {
    let sum = 0;
    for (const table of tables) sum += await numberIn(`select count(*) as number from ${table} where ${condition}`);
    return sum;
  };
  const others = (Object.keys(allTables) as AnyTableName[]).filter(
    (table) => table !== "kms_keys" && !notCopied.includes(table),
  );
  const keys = await countOf(["kms_keys"], copiedKeys);
  const trail = (await countOf(["kms_audit"], "key_id <> ''")) + (await countOf(["kms_audit"]));
  return {
    copied: keys + (await countOf(others)),
    checked: 2 * keys + trail + (await countOf(describedTables.map(([table]) => table))),
    entries: await numberIn("select coalesce(sum(size), 0) as number from kms_logs"),
  };
}
