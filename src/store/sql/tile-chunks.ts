/**
 * What a log is made of, in SQL: its entries, and the hashes of its tiles. Each is a row for every chunk that a group wrote, which begins
 * at `start` and stays within one bundle or tile of 256, so that one of those is found by a range of starts and nothing is written twice.
 */
import type { RowValue } from "./rows/mac.ts";
import { KmsError } from "../../errors.ts";
import { bundleOf, type EntryRun, packRuns, partOfRun, unpackRuns } from "../../tlog/entry-run.ts";
import type { LogAppend, LogName } from "../log-store.ts";
import type { Query, Row, Transaction } from "./rows/database.ts";
import { placeholders } from "./rows/rows.ts";
import { type ChunkTableName, chunkTables } from "./rows/schema.ts";

/** What begins at `start`, cut where a bundle or tile ends. */
interface Chunk {
  start: number;
  data: Uint8Array;
}

/** Entries of a bundle, and hashes of a tile. */
const tileWidth = 256;
const hashBytes = 32;
/** A log has fewer than 256^7 entries. */
const tileLevels = [0, 1, 2, 3, 4, 5, 6];

/**
 * Writes what a group adds. DATA_LOSS where there is something in its place, which the head that the group was made for does not know:
 * then the head is not the last one that was written.
 */
export async function insertChunks(tx: Transaction, group: LogAppend): Promise<void> {
  const { expect, next, entries, hashes } = group;
  const runs = unpackAll(entries);
  if (runs === undefined || entriesIn(runs) !== next.size - expect.size || !growsWith(group)) {
    throw new KmsError("INTERNAL", "a group has the entries and the hashes by which its log grows");
  }
  await insert(tx, "kms_log_entries", expect, entryChunks(runs, expect.size).map(valuesOf));
  const rows = hashes.flatMap(({ tileLevel, start, hashes: all }) =>
    hashChunks(all, start).map((chunk) => [tileLevel, ...valuesOf(chunk)]),
  );
  await insert(tx, "kms_log_hashes", expect, rows);
}

/** DATA_LOSS where the chunks do not follow one on the other. */
export async function readHashes(query: Query, log: LogName, tileLevel: number, tile: number): Promise<Uint8Array> {
  const rows = await query(
    `select start, data from kms_log_hashes
     where tenant_id = ?1 and number = ?2 and level = ?3 and start >= ?4 and start < ?5 order by start`,
    log.tenantId,
    log.number,
    tileLevel,
    ...startsIn(tile),
  );
  return joined(rows, startsIn(tile), log, (data) => ({ data, count: data.length / hashBytes }));
}

/** Likewise. */
export async function readEntries(query: Query, log: LogName, bundle: number): Promise<Uint8Array> {
  const rows = await query(
    `select start, data from kms_log_entries
     where tenant_id = ?1 and number = ?2 and start >= ?3 and start < ?4 order by start`,
    log.tenantId,
    log.number,
    ...startsIn(bundle),
  );
  return joined(rows, startsIn(bundle), log, openEntries);
}

/** The first place of a tile or bundle, and of the one behind it. */
function startsIn(tile: number): [number, number] {
  return [tile * tileWidth, (tile + 1) * tileWidth];
}

/** A chunk as it is given out. */
interface Opened {
  data: Uint8Array;
  /** Of entries or hashes. */
  count: number;
}

/** The bundle of a chunk of entries; undefined where it is not in its form, or has more than it can: few bytes may say that they are many. */
export function openEntries(chunk: Uint8Array): Opened | undefined {
  const runs = unpackRuns(chunk);
  if (runs === undefined || entriesIn(runs) > tileWidth) return undefined;
  return { data: bundleOf(runs), count: entriesIn(runs) };
}

/** In memory of their own: a view of a shared one would take all of it along to another thread. */
function joined(
  rows: readonly Row[],
  [first, end]: [number, number],
  { tenantId, number }: LogName,
  open: (data: Uint8Array) => Opened | undefined,
): Uint8Array {
  const all: Uint8Array[] = [];
  let expected = first;
  for (const { start, data } of rows) {
    const chunk = Number(start) === expected ? open(data as Uint8Array) : undefined;
    all.push(chunk?.data ?? new Uint8Array());
    expected += chunk?.count ?? Number.NaN;
  }
  if (expected <= end) return new Uint8Array(Buffer.concat(all));
  throw new KmsError(
    "DATA_LOSS",
    `log ${number} of tenant ${tenantId} is not as it was written between ${first} and ${end}: run fluo-kms check`,
  );
}

function unpackAll(packed: readonly Uint8Array[]): EntryRun[] | undefined {
  const runs = packed.map(unpackRuns);
  return runs.every((each) => each !== undefined) ? runs.flat() : undefined;
}

function entriesIn(runs: readonly EntryRun[]): number {
  return runs.reduce((sum, { count }) => sum + count, 0);
}

/** Whether the hashes are those of the nodes that become complete. */
function growsWith({ expect, next, hashes }: LogAppend): boolean {
  const countAt = (level: number, size: number) => Math.floor(size / tileWidth ** level);
  const grown = tileLevels.filter((level) => countAt(level, next.size) > countAt(level, expect.size));
  const isThere = (level: number, index: number) => {
    const { tileLevel, start, hashes: all } = hashes[index]!;
    const end = start + all.length / hashBytes;
    return tileLevel === level && start === countAt(level, expect.size) && end === countAt(level, next.size);
  };
  return grown.length === hashes.length && grown.every(isThere);
}

function entryChunks(runs: readonly EntryRun[], start: number): Chunk[] {
  const chunks: Chunk[] = [];
  let parts: EntryRun[] = [];
  let [first, index] = [start, start];
  const close = () => {
    if (index > first) chunks.push({ start: first, data: packRuns(parts) });
    [first, parts] = [index, []];
  };
  for (const run of runs) {
    for (let from = 0; from < run.count; ) {
      const to = Math.min(run.count, from + tileWidth - (index % tileWidth));
      parts.push(partOfRun(run, from, to));
      [index, from] = [index + to - from, to];
      if (index % tileWidth === 0) close();
    }
  }
  close();
  return chunks;
}

function hashChunks(hashes: Uint8Array, start: number): Chunk[] {
  const end = start + hashes.length / hashBytes;
  const chunks: Chunk[] = [];
  for (let from = start; from < end; ) {
    const to = Math.min(end, from + tileWidth - (from % tileWidth));
    chunks.push({ start: from, data: hashes.subarray((from - start) * hashBytes, (to - start) * hashBytes) });
    from = to;
  }
  return chunks;
}

function valuesOf({ start, data }: Chunk): RowValue[] {
  return [start, data];
}

/** `rows` without the tenant and the number. */
async function insert(
  { query, rowsAStatement }: Transaction,
  table: ChunkTableName,
  { tenantId, number }: LogName,
  rows: readonly RowValue[][],
): Promise<void> {
  for (let first = 0; first < rows.length; first += rowsAStatement) {
    const some = rows.slice(first, first + rowsAStatement);
    const written = await query(insertText(table, some.length), tenantId, number, ...some.flat());
    if (written.length === some.length) continue;
    throw new KmsError(
      "DATA_LOSS",
      `log ${number} of tenant ${tenantId} has entries behind its head, which was set back: run fluo-kms check`,
    );
  }
}

const texts = new Map<string, string>();

/** One text for every number of rows, so that it is prepared once. */
function insertText(table: ChunkTableName, count: number): string {
  const name = `${table} ${count}`;
  const known = texts.get(name);
  if (known !== undefined) return known;
  const own = chunkTables[table].length - 2;
  const rows = Array.from({ length: count }, (_, row) => `(?1, ?2, ${placeholders(own, 2 + row * own)})`);
  const columns = chunkTables[table].join(", ");
  const text = `insert into ${table} (${columns}) values ${rows.join(", ")} on conflict do nothing returning start`;
  texts.set(name, text);
  return text;
}
