/** Witnessed time in SQL: one authenticated row. A process that notes a time names the one that it saw before, so that no time is counted twice. */
import { KmsError } from "../../errors.ts";
import type { Fence } from "../lease-store.ts";
import type { TimeReading, TimeStore, WitnessedTime } from "../time-store.ts";
import type { Database, Query, Row, Transaction } from "./rows/database.ts";
import { holdLease } from "./leases.ts";
import type { RowMac } from "./rows/mac.ts";
import { authenticated, date, insertRow, time, updateRow, wholeNumber } from "./rows/rows.ts";

export function sqlTime(db: Database, mac: RowMac): TimeStore {
  return {
    witnessedTime: () => db.read((query) => readTime(query, mac, db.clock)),
    noteWitnessedTime: (present, next, fence) => db.write((tx) => noteTime(tx, mac, { present, next, fence })),
  };
}

/**
 * CONFLICT if the services have witnessed less. Read in the transaction that relies on it, because a database that was put back has
 * less than was read before.
 */
export async function requireWitnessed(query: Query, mac: RowMac, leastMs: number): Promise<void> {
  const row = await timeRow(query, mac);
  if (row !== undefined && wholeNumber(row.witnessed) >= leastMs) return;
  throw new KmsError("CONFLICT", "less time was witnessed than is needed");
}

async function readTime(query: Query, mac: RowMac, clock: Database["clock"]): Promise<TimeReading> {
  const row = await timeRow(query, mac);
  // The row first: a time that is noted later must be later.
  const storeAt = clock && new Date(await clock(query));
  return { noted: row && timeOf(row), storeAt };
}

interface Noting {
  present: WitnessedTime | undefined;
  next: WitnessedTime;
  fence: Fence | undefined;
}

async function noteTime(tx: Transaction, mac: RowMac, { present, next, fence }: Noting): Promise<void> {
  if (fence) await holdLease(tx, mac, fence);
  await tx.lock("time");
  const stored = await timeRow(tx.query, mac);
  if (!isSame(stored && timeOf(stored), present)) throw new KmsError("CONFLICT", "another noted the time meanwhile");
  const { witnessedMs, wallAt, secondAt } = next;
  const row = { id: 1, witnessed: witnessedMs, wall_at: wallAt.getTime(), second_at: time(secondAt) };
  await (stored ? updateRow : insertRow)(tx.query, mac, "kms_time", row);
}

/** Undefined before the first was noted. */
async function timeRow(query: Query, mac: RowMac): Promise<Row | undefined> {
  const read = async () => {
    const [row] = await query("select * from kms_time");
    return row && authenticated(mac, "kms_time", row, "the witnessed time");
  };
  const row = await read();
  if (row !== undefined || !(await isWaitNoted(query))) return row;
  const later = await read(); // whoever noted a wait had noted the time before
  if (later === undefined) throw new KmsError("DATA_LOSS", "the witnessed time is gone from the store");
  return later;
}

/** Whether a key waits, or waited, by witnessed time: then there is one. */
export async function isWaitNoted(query: Query): Promise<boolean> {
  return (await query("select 1 as one from kms_keys where destroy_witnessed is not null limit 1")).length > 0;
}

function timeOf(row: Row): WitnessedTime {
  return {
    witnessedMs: wholeNumber(row.witnessed),
    wallAt: date(row.wall_at)!,
    secondAt: date(row.second_at),
  };
}

function isSame(a: WitnessedTime | undefined, b: WitnessedTime | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const isSecond = a.secondAt?.getTime() === b.secondAt?.getTime();
  return a.witnessedMs === b.witnessedMs && a.wallAt.getTime() === b.wallAt.getTime() && isSecond;
}
