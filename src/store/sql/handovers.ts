/** What becomes of a log when its tenant's signing key is followed by another or is marked as compromised, in SQL. Kept for ever. */
import type { RowMac } from "./rows/mac.ts";
import { hasCode, KmsError } from "../../errors.ts";
import type { KeyRecord } from "../key-record.ts";
import type { LogCompromise, LogHandover } from "../log-store.ts";
import type { Query, Transaction } from "./rows/database.ts";
import { pageRows } from "./all-pages.ts";
import { readHead } from "./heads.ts";
import { authenticated, bytes, insertRow } from "./rows/rows.ts";

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

/** CONFLICT where the tenant's log began after it was looked for: whoever knows the old key alone could not follow it. */
export async function refuseOpenLog(tx: Transaction, mac: RowMac, tenantId: string): Promise<void> {
  await lockLogs(tx, tenantId);
  const head = await readHead(tx.query, mac, { tenantId });
  if (head?.state === "open") throw new KmsError("CONFLICT", `the log of tenant ${tenantId} has begun meanwhile`);
}

/** Until the end of the transaction no log of the tenant begins. Taken after the lock of its keys, where both are. */
export function lockLogs(tx: Transaction, tenantId: string): Promise<void> {
  return tx.lock(`log/${tenantId}`);
}

/** The page behind `last`, or the first. */
export async function readHandovers(
  query: Query,
  mac: RowMac,
  tenantId: string,
  last?: Pick<LogHandover, "number" | "index">,
): Promise<LogHandover[]> {
  const rows = await query(
    `select * from kms_log_handovers where tenant_id = ?1 and (number, entry_index) > (?2, ?3)
     order by number, entry_index limit ?4`,
    tenantId,
    last?.number ?? 0,
    last?.index ?? 0,
    pageRows,
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

/** Notes how far the tenant's log went, if this change marks a signing key as compromised: a verifier must know. */
export async function noteCompromise(
  query: Query,
  mac: RowMac,
  { before, after }: { before: KeyRecord; after: KeyRecord },
): Promise<void> {
  const isMarked = before.compromisedAt === undefined && after.compromisedAt !== undefined;
  if (isMarked && after.purpose === "signing") await insertCompromise(query, mac, after);
}

/**
 * How far the last log of the tenant went; nothing where it has none. Nor where its head was altered: whoever did that must not keep a key
 * from being marked, and without a record the key's checkpoints prove nothing at all.
 */
async function insertCompromise(
  query: Query,
  mac: RowMac,
  { tenantId, keyId }: Pick<LogCompromise, "tenantId" | "keyId">,
): Promise<void> {
  const head = await readHead(query, mac, { tenantId }).catch((error) => {
    if (hasCode(error, "DATA_LOSS")) return undefined;
    throw error;
  });
  if (head === undefined) return;
  const { number, origin, size, root } = head;
  const row = { tenant_id: tenantId, key_id: keyId, number, origin, size, root };
  await insertRow(query, mac, "kms_log_compromises", row);
}

/** The page behind `last`, or the first. */
export async function readCompromises(
  query: Query,
  mac: RowMac,
  tenantId: string,
  last?: Pick<LogCompromise, "keyId">,
): Promise<LogCompromise[]> {
  const rows = await query(
    "select * from kms_log_compromises where tenant_id = ?1 and key_id > ?2 order by key_id limit ?3",
    tenantId,
    last?.keyId ?? "",
    pageRows,
  );
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
