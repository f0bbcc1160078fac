/** Logs that end because entries of theirs may be gone: whoever has a later checkpoint must not see another entry in the place of one of them. */
import { KmsError } from "../../errors.ts";
import type { KnownLogs, NotedLog } from "../heads-store.ts";
import type { LogHead } from "../log-store.ts";
import { pageRows } from "./all-pages.ts";
import { headOf, headRow } from "./heads.ts";
import { leaseFinishedAt, noteFinished } from "./leases.ts";
import type { Query, Row, Transaction } from "./rows/database.ts";
import type { RowMac } from "./rows/mac.ts";
import { bytes, valuesOf } from "./rows/rows.ts";

const secondMs = 1000;
/** Name of the lease that tells when a loss was last accepted. */
const acceptedLoss = "accepted-loss";

/** Gives the row of a head as it is once its log has ended. */
export function endedRow(mac: RowMac, head: LogHead): Row & { mac: Uint8Array } {
  const row = headRow({ ...head, state: "restored" });
  return { ...row, mac: mac.of("kms_logs", valuesOf("kms_logs", row)) };
}

/** Ends every open log that does not reach its noted head, and has later logs of all tenants get numbers that none had before. */
export async function endLogs(tx: Transaction, mac: RowMac, known: KnownLogs, at: Date): Promise<void> {
  const noted = new Map(known.noted.map((log) => [nameOf(log), log]));
  const page = `select * from kms_logs where state = 'open' and (tenant_id, number) > (?1, ?2)
    order by tenant_id, number limit ${pageRows}`;
  let rows = await tx.query(page, "", 0);
  while (rows.length > 0) {
    for (const row of rows) {
      const log = noted.get(`${row.tenant_id}/${row.number}`);
      if (log === undefined ? known.mayHaveMore : !reaches(row, log)) await end(tx, mac, row);
    }
    const { tenant_id, number } = rows.at(-1)!;
    rows = await tx.query(page, tenant_id!, number!);
  }
  const highest = Math.max(0, ...known.noted.map(({ number }) => number));
  await noteFinished(tx, mac, acceptedLoss, new Date(Math.max(at.getTime(), (highest + 1) * secondMs)));
}

/** The least number of a log that begins after a loss was accepted: no log that is gone had it. */
export async function leastNumber(query: Query, mac: RowMac): Promise<number> {
  const at = await leaseFinishedAt(query, mac, acceptedLoss);
  return Math.floor((at?.getTime() ?? 0) / secondMs);
}

async function end({ query, headChanged }: Transaction, mac: RowMac, row: Row): Promise<void> {
  if (!mac.matches(row.mac, "kms_logs", valuesOf("kms_logs", row))) return; // nothing is appended to an altered one either
  const ended = endedRow(mac, headOf(mac, row));
  const statement =
    "update kms_logs set state = ?4, mac = ?5 where tenant_id = ?1 and number = ?2 and mac = ?3 returning number";
  const { tenant_id, number, state } = ended;
  const updated = await query(statement, tenant_id!, number!, row.mac!, state!, ended.mac);
  if (updated.length !== 1) throw new KmsError("CONFLICT", `log ${number} of tenant ${tenant_id} grew: try again`);
  headChanged?.({ table: "kms_logs", before: bytes(row.mac), after: ended.mac });
}

function nameOf({ tenantId, number }: NotedLog): string {
  return `${tenantId}/${number}`;
}

function reaches({ size, root }: Row, noted: NotedLog): boolean {
  return Number(size) > noted.size || (Number(size) === noted.size && Buffer.compare(bytes(root), noted.root) === 0);
}
