/** The heads of logs in SQL: one row a log, authenticated like every row. */
import type { RowMac } from "./rows/mac.ts";
import type { LogHead, LogName } from "../log-store.ts";
import type { Query, Row } from "./rows/database.ts";
import { authenticated, bytes } from "./rows/rows.ts";

/** The last log of a tenant, or the one that is named. */
export async function readHead(
  query: Query,
  mac: RowMac,
  { tenantId, number }: Pick<LogName, "tenantId"> & Partial<LogName>,
): Promise<LogHead | undefined> {
  const [row] =
    number === undefined
      ? await query("select * from kms_logs where tenant_id = ?1 order by number desc limit 1", tenantId)
      : await query("select * from kms_logs where tenant_id = ?1 and number = ?2", tenantId, number);
  return row && headOf(mac, row);
}

export async function readHeads(query: Query, mac: RowMac, tenantId: string): Promise<LogHead[]> {
  const rows = await query("select * from kms_logs where tenant_id = ?1 order by number", tenantId);
  return rows.map((row) => headOf(mac, row));
}

export function headRow(head: LogHead): Row {
  return {
    tenant_id: head.tenantId,
    number: head.number,
    origin: head.origin,
    size: head.size,
    root: head.root,
    frontier: head.frontier,
    state: head.state,
    created_at: head.createdAt.getTime(),
    changed_at: head.changedAt.getTime(),
  };
}

/** DATA_LOSS for a row that fails its authentication. */
export function headOf(mac: RowMac, row: Row): LogHead {
  authenticated(mac, "kms_logs", row, `the head of log ${row.number} of tenant ${row.tenant_id}`);
  return {
    tenantId: String(row.tenant_id),
    number: Number(row.number),
    origin: String(row.origin),
    size: Number(row.size),
    root: bytes(row.root),
    frontier: bytes(row.frontier),
    state: row.state as LogHead["state"],
    createdAt: new Date(Number(row.created_at)),
    changedAt: new Date(Number(row.changed_at)),
  };
}
