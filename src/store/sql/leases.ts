/**
 * Leases in SQL: at most one holder at a time by the store's clock. A write that is done under a lease holds its row's lock and checks
 * its generation and its time, so that a holder that was stopped and resumed cannot write behind its successor's back.
 */
import type { RowMac } from "./rows/mac.ts";
import { KmsError } from "../../errors.ts";
import type { Query, Row, Transaction } from "./rows/database.ts";
import { authenticated, date, insertRow, updateRow } from "./rows/rows.ts";
import type { Fence, LeaseAnswer } from "../lease-store.ts";

export interface LeaseRequest {
  name: string;
  holder: string;
  ttlMs: number;
}

/** Nobody takes a lease for longer, unless its asker does too. */
const longestMs = 5 * 60_000;

export async function takeLease(
  tx: Transaction,
  mac: RowMac,
  { name, holder, ttlMs }: LeaseRequest,
): Promise<LeaseAnswer> {
  await tx.lock(`lease/${name}`);
  const now = await tx.now();
  const present = await leaseRow(tx.query, mac, name);
  const expiresAt = Number(present?.expires_at ?? 0);
  const isOurs = present?.holder === holder && expiresAt > now;
  // What ends later than any lease that is taken now was taken before the clock was put back, and would be held until it comes there again.
  const isHeld = expiresAt > now && expiresAt <= now + Math.max(ttlMs, longestMs);
  const finishedAt = date(present?.finished_at);
  if (!isOurs && isHeld) return { generation: undefined, finishedAt };
  const generation = Number(present?.generation ?? 0) + (isOurs ? 0 : 1);
  const finished_at = present?.finished_at ?? null;
  const row = { name, holder, generation, expires_at: now + ttlMs, finished_at };
  await (present ? updateRow : insertRow)(tx.query, mac, "kms_leases", row);
  return { generation, finishedAt };
}

/**
 * LEASE_LOST if the lease is somebody else's by now, or ran out. One that ends too late for its time is still its holder's until another
 * took it: that gave it another generation, under the lock.
 */
export async function holdLease(tx: Transaction, mac: RowMac, { name, generation }: Fence): Promise<Row> {
  await tx.lock(`lease/${name}`, "shared");
  const row = await leaseRow(tx.query, mac, name);
  if (row && Number(row.generation) === generation && Number(row.expires_at) > (await tx.now())) return row;
  throw new KmsError("LEASE_LOST", `the lease ${name} of generation ${generation} is over`);
}

export async function endLease(tx: Transaction, mac: RowMac, fence: Fence, at: Date): Promise<void> {
  await tx.lock(`lease/${fence.name}`);
  const row = await holdLease(tx, mac, fence);
  await updateRow(tx.query, mac, "kms_leases", { ...row, expires_at: 0, finished_at: at.getTime() });
}

/** Notes when work was done that nobody takes a lease for. A time that was noted before is never lowered. */
export async function noteFinished(tx: Transaction, mac: RowMac, name: string, at: Date): Promise<void> {
  await tx.lock(`lease/${name}`);
  const present = await leaseRow(tx.query, mac, name);
  const finished_at = Math.max(at.getTime(), Number(present?.finished_at ?? 0));
  const row = { name, holder: "", generation: Number(present?.generation ?? 0) + 1, expires_at: 0, finished_at };
  await (present ? updateRow : insertRow)(tx.query, mac, "kms_leases", row);
}

export async function leaseFinishedAt(query: Query, mac: RowMac, name: string): Promise<Date | undefined> {
  return date((await leaseRow(query, mac, name))?.finished_at);
}

async function leaseRow(query: Query, mac: RowMac, name: string): Promise<Row | undefined> {
  const [row] = await query("select * from kms_leases where name = ?1", name);
  return row && authenticated(mac, "kms_leases", row, `the lease ${name}`);
}
