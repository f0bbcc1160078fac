/** The rows of a table in pages, each behind the one before it, so that no statement reads for long. */
import type { Query, Row } from "../sql/rows/database.ts";
import { type AnyTableName, chunkTables } from "../sql/rows/schema.ts";
import { onward, type Place } from "../sql/rows/walk.ts";

/** The columns by which one page follows another. */
export const orders: Readonly<Record<AnyTableName, readonly string[]>> = {
  kms_store: ["id"],
  kms_keys: ["key_id"],
  kms_requests: ["tenant_id", "request_id", "key_id"],
  kms_leases: ["name"],
  kms_replicas: ["replica_id"],
  kms_audit_writers: ["writer_id"],
  kms_audit: ["id"],
  kms_commits: ["id"],
  kms_time: ["id"],
  kms_logs: ["tenant_id", "number"],
  kms_log_requests: ["tenant_id", "number", "request_id"],
  kms_log_handovers: ["tenant_id", "number", "entry_index"],
  kms_log_compromises: ["tenant_id", "key_id"],
  kms_log_entries: ["tenant_id", "number", "start"],
  kms_log_hashes: ["tenant_id", "number", "level", "start"],
};

const pageRows = 500;
/** A piece may have 256 entries. */
const pageChunks = 16;

interface PageOptions {
  /** Columns; those of the primary key if they are not given. */
  order?: readonly string[];
  condition?: string;
}

export interface Page {
  rows: Row[];
  /** Place where the next page begins; undefined behind the last. */
  next: Place | undefined;
}

/** The rows behind a place in a table, or from its beginning on. */
export async function pageOf(
  query: Query,
  table: AnyTableName,
  after?: Place,
  { order = orders[table], condition = "1 = 1" }: PageOptions = {},
): Promise<Page> {
  const columns = order.join(", ");
  const limit = table in chunkTables ? pageChunks : pageRows;
  const parameters = order.map((_, index) => `?${index + 1}`).join(", ");
  const from = after === undefined ? "" : `(${columns}) > (${parameters}) and `;
  const text = `select * from ${table} where ${from}${condition} order by ${columns} limit ${limit}`;
  const rows = await query(text, ...(after ?? []));
  if (rows.length < limit) return { rows, next: undefined };
  const end = order.map((column) => rows.at(-1)![column] ?? null);
  return { rows, next: onward(table, after, end) };
}

/** All rows of a table in the order of its primary key; of `order` and `condition` where they are given. */
export async function* pages(query: Query, table: AnyTableName, options: PageOptions = {}): AsyncGenerator<Row[]> {
  let after: Place | undefined;
  do {
    const { rows, next } = await pageOf(query, table, after, options);
    if (rows.length > 0) yield rows;
    after = next;
  } while (after !== undefined);
}

/** Their rows, one by one. */
export async function* each(all: AsyncGenerator<Row[]>): AsyncGenerator<Row> {
  for await (const rows of all) yield* rows;
}
