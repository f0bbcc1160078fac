/**
 * Counts the commits of a SQLite file, in one row that every commit changes. A file that was put back, or that lost its last commits, has a
 * lower count than was noted elsewhere. With it go sums over the heads of all logs and of all audit writers, so that a head that was put back
 * alone does not add up. The row is authenticated: only an earlier one of the same file can stand in its place.
 */
import { KmsError } from "../../errors.ts";
import type { HeadChange, HeadTable, Query, Row } from "./rows/database.ts";
import type { RowMac } from "./rows/mac.ts";
import { authenticated, bytes, insertRow, updateRow } from "./rows/rows.ts";

export interface CommitCount {
  /** Commits since the row was made. */
  commits: number;
  /** When a heads file was first written for this store; undefined if there was none yet. */
  headsSince: Date | undefined;
  sums: Record<HeadTable, Uint8Array>;
}

const sumBytes = 32;
const columns = { kms_logs: "log_heads", kms_audit_writers: "audit_heads" } as const;
const headTables = ["kms_logs", "kms_audit_writers"] as const;

/** Counts the commit that the transaction is about to do. DATA_LOSS if the row is not as it was written. */
export async function countCommit(query: Query, mac: RowMac, changes: readonly HeadChange[]): Promise<void> {
  const row = await countRow(query, mac);
  if (row === undefined) {
    const sums = await sumsOf(query);
    const first = { id: 1, commits: 1, log_heads: sums.kms_logs, audit_heads: sums.kms_audit_writers };
    await insertRow(query, mac, "kms_commits", first);
    return;
  }
  const sums = { log_heads: bytes(row.log_heads), audit_heads: bytes(row.audit_heads) };
  for (const { table, before, after } of changes) {
    const sum = sums[columns[table]];
    add(sum, after);
    if (before !== undefined) subtract(sum, before);
  }
  await updateRow(query, mac, "kms_commits", { ...row, ...sums, commits: Number(row.commits) + 1 });
}

/** Notes when a heads file was first written, unless that is noted already. The store has counted a commit before. */
export async function noteHeadsSince(query: Query, mac: RowMac, since: Date): Promise<void> {
  const row = await countRow(query, mac);
  if (row === undefined || row.heads_since !== null) return;
  await updateRow(query, mac, "kms_commits", { ...row, heads_since: since.getTime() });
}

/** Undefined for a store that has not counted yet. DATA_LOSS if the row is not as it was written. */
export async function readCommits(query: Query, mac: RowMac): Promise<CommitCount | undefined> {
  const row = await countRow(query, mac);
  if (row === undefined) return undefined;
  return {
    commits: Number(row.commits),
    headsSince: row.heads_since === null ? undefined : new Date(Number(row.heads_since)),
    sums: { kms_logs: bytes(row.log_heads), kms_audit_writers: bytes(row.audit_heads) },
  };
}

/** Sums over the HMACs of all rows as they are. `query` must read of one moment to compare them with the count's. */
export async function sumsOf(query: Query): Promise<CommitCount["sums"]> {
  const sums = { kms_logs: new Uint8Array(sumBytes), kms_audit_writers: new Uint8Array(sumBytes) };
  for (const table of headTables) {
    for (const row of await query(`select mac from ${table}`)) add(sums[table], bytes(row.mac));
  }
  return sums;
}

async function countRow(query: Query, mac: RowMac): Promise<Row | undefined> {
  const [row] = await query("select * from kms_commits");
  return row && authenticated(mac, "kms_commits", row, "the count of commits");
}

/** Numbers of 256 bits, the lowest byte first; what goes beyond is dropped. Order does not matter to a sum, nor what was between two rows. */
function add(sum: Uint8Array, addend: Uint8Array): void {
  requireMac(addend);
  let carry = 0;
  for (let at = 0; at < sumBytes; at += 1) {
    carry += sum[at]! + addend[at]!;
    sum[at] = carry & 0xff;
    carry >>= 8;
  }
}

function subtract(sum: Uint8Array, subtrahend: Uint8Array): void {
  requireMac(subtrahend);
  let borrow = 0;
  for (let at = 0; at < sumBytes; at += 1) {
    const difference = sum[at]! - subtrahend[at]! - borrow;
    sum[at] = difference & 0xff;
    borrow = difference < 0 ? 1 : 0;
  }
}

function requireMac(mac: Uint8Array): void {
  if (mac.length === sumBytes) return;
  throw new KmsError("DATA_LOSS", "a head in the store has no HMAC: run fluo-kms check, and restore a backup");
}
