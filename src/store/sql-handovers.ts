/** What becomes of a log when its tenant's signing key is followed by another or is marked as compromised, in SQL. Kept for ever. */
import type { RowMac } from "../crypto/row-mac.ts";
import type { LogCompromise, LogHandover } from "./log-store.ts";
import type { Query } from "./sql.ts";
import { readHead } from "./sql-heads.ts";
import { authenticated, bytes, insertRow } from "./sql-rows.ts";

export async function insertHandover(query: Query, mac: RowMac, handover: LogHandover): Promise<void> {
  await insertRow(query, mac, "kms_log_handovers", {
    tenant_id: handover.tenantId,
    number: handover.number,
    entry_index: handover.index,
    from_key_id: handover.fromKeyId,
    to_key_id: handover.toKeyId,
    entry: handover.entry,
    proof: handover.proof,
  });
}

export async function readHandovers(query: Query, mac: RowMac, tenantId: string): Promise<LogHandover[]> {
  const rows = await query(
    "select * from kms_log_handovers where tenant_id = ?1 order by number, entry_index",
    tenantId,
  );
  return rows.map((row) => {
    authenticated(mac, "kms_log_handovers", row, `the handover to key ${row.to_key_id}`);
    return {
      tenantId: String(row.tenant_id),
      number: Number(row.number),
      fromKeyId: String(row.from_key_id),
      toKeyId: String(row.to_key_id),
      index: Number(row.entry_index),
      entry: bytes(row.entry),
      proof: String(row.proof),
    };
  });
}

/** How far the last log of the tenant went; nothing where it has none. */
export async function insertCompromise(
  query: Query,
  mac: RowMac,
  { tenantId, keyId }: Pick<LogCompromise, "tenantId" | "keyId">,
): Promise<void> {
  const head = await readHead(query, mac, { tenantId });
  if (head === undefined) return;
  const { number, origin, size, root } = head;
  const row = { tenant_id: tenantId, key_id: keyId, number, origin, size, root };
  await insertRow(query, mac, "kms_log_compromises", row);
}

export async function readCompromises(query: Query, mac: RowMac, tenantId: string): Promise<LogCompromise[]> {
  const rows = await query("select * from kms_log_compromises where tenant_id = ?1 order by key_id", tenantId);
  return rows.map((row) => {
    authenticated(mac, "kms_log_compromises", row, `how far the log went under the compromised key ${row.key_id}`);
    return {
      tenantId: String(row.tenant_id),
      keyId: String(row.key_id),
      number: Number(row.number),
      origin: String(row.origin),
      size: Number(row.size),
      root: bytes(row.root),
    };
  });
}
