/**
 * What a log is made of, in SQL: its entries, and the hashes of its tiles. Each is a row for every piece that a group wrote, which begins
 * at `start` and stays within one bundle or tile of 256, so that one of those is found by a range of starts and nothing is written twice.
 */
import type { RowValue } from "../crypto/row-mac.ts";
import { KmsError } from "../errors.ts";
import type { LogAppend, LogName } from "./log-store.ts";
import type { Query, Row, Transaction } from "./sql.ts";
import { placeholders } from "./sql-rows.ts";
import { type PieceTableName, pieceTables } from "./sql-schema.ts";

/** What begins at `start`, cut where a bundle or tile ends. */
interface Piece {
  start: number;
  data: Uint8Array;
}

/** Entries of a bundle, and hashes of a tile. */
const tileWidth = 256;
const hashBytes = 32;
const lengthBytes = 2;
/** A log has fewer than 256^7 entries. */
const tileLevels = [0, 1, 2, 3, 4, 5, 6];

/**
 * Writes what a group adds. DATA_LOSS where there is something in its place, which the head that the group was made for does not know:
 * then the head is not the last one that was written.
 */
export async function insertPieces(tx: Transaction, group: LogAppend): Promise<void> {
  const { expect, next, entries, hashes } = group;
  const pieces = entryPieces(entries, expect.size, next.size);
  if (pieces === undefined || !growsWith(group)) {
    throw new KmsError("INTERNAL", "a group has the entries and the hashes by which its log grows");
  }
  await insert(tx, "kms_log_entries", expect, pieces.map(valuesOf));
  const rows = hashes.flatMap(({ tileLevel, start, hashes: all }) =>
    hashPieces(all, start).map((piece) => [tileLevel, ...valuesOf(piece)]),
  );
  await insert(tx, "kms_log_hashes", expect, rows);
}

/** DATA_LOSS where the pieces do not follow one on the other. */
export async function readHashes(query: Query, log: LogName, tileLevel: number, tile: number): Promise<Uint8Array> {
  const rows = await query(
    `select start, data from kms_log_hashes
     where tenant_id = ?1 and number = ?2 and level = ?3 and start >= ?4 and start < ?5 order by start`,
    log.tenantId,
    log.number,
    tileLevel,
    ...startsIn(tile),
  );
  return joined(rows, startsIn(tile), log, ({ length }) => length / hashBytes);
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
  return joined(rows, startsIn(bundle), log, (data) => (offsetsIn(data)?.length ?? Number.NaN) - 1);
}

/** The first place of a tile or bundle, and of the one behind it. */
function startsIn(tile: number): [number, number] {
  return [tile * tileWidth, (tile + 1) * tileWidth];
}

/** In memory of their own: a view of a shared one would take all of it along to another thread. */
function joined(
  rows: readonly Row[],
  [first, end]: [number, number],
  { tenantId, number }: LogName,
  countIn: (data: Uint8Array) => number,
): Uint8Array {
  const pieces = rows.map(({ start, data }) => ({ start: Number(start), data: data as Uint8Array }));
  const all = new Uint8Array(pieces.reduce((sum, { data }) => sum + data.length, 0));
  let at = 0;
  let expected = first;
  for (const { start, data } of pieces) {
    if (start !== expected) break;
    all.set(data, at);
    at += data.length;
    expected += countIn(data);
  }
  if (at === all.length && expected <= end) return all;
  throw new KmsError(
    "DATA_LOSS",
    `log ${number} of tenant ${tenantId} is not as it was written between ${first} and ${end}: run fluo-kms check`,
  );
}

/** Where each entry begins, and where the last one ends; undefined where that is not where the bytes end. */
function offsetsIn(entries: Uint8Array): number[] | undefined {
  const offsets = [0];
  let at = 0;
  while (at + lengthBytes <= entries.length) {
    at += lengthBytes + entries[at]! * 256 + entries[at + 1]!;
    offsets.push(at);
  }
  return at === entries.length ? offsets : undefined;
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

/** Of the entries from `start` until before `end`; undefined where they are not as many. Only a piece of several batches is copied. */
function entryPieces(entries: readonly Uint8Array[], start: number, end: number): Piece[] | undefined {
  const pieces: Piece[] = [];
  let parts: Uint8Array[] = [];
  let [first, index] = [start, start];
  const close = () => {
    if (index > first) pieces.push({ start: first, data: parts.length === 1 ? parts[0]! : Buffer.concat(parts) });
    [first, parts] = [index, []];
  };
  for (const batch of entries) {
    const offsets = offsetsIn(batch);
    if (offsets === undefined) return undefined;
    for (let at = 0; at < offsets.length - 1; ) {
      const to = Math.min(offsets.length - 1, at + tileWidth - (index % tileWidth));
      parts.push(batch.subarray(offsets[at], offsets[to]));
      [index, at] = [index + to - at, to];
      if (index % tileWidth === 0) close();
    }
  }
  close();
  return index === end ? pieces : undefined;
}

function hashPieces(hashes: Uint8Array, start: number): Piece[] {
  const end = start + hashes.length / hashBytes;
  const pieces: Piece[] = [];
  for (let from = start; from < end; ) {
    const to = Math.min(end, from + tileWidth - (from % tileWidth));
    pieces.push({ start: from, data: hashes.subarray((from - start) * hashBytes, (to - start) * hashBytes) });
    from = to;
  }
  return pieces;
}

function valuesOf({ start, data }: Piece): RowValue[] {
  return [start, data];
}

/** `rows` without the tenant and the number. */
async function insert(
  { query, rowsAStatement }: Transaction,
  table: PieceTableName,
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
function insertText(table: PieceTableName, count: number): string {
  const name = `${table} ${count}`;
  const known = texts.get(name);
  if (known !== undefined) return known;
  const own = pieceTables[table].length - 2;
  const rows = Array.from({ length: count }, (_, row) => `(?1, ?2, ${placeholders(own, 2 + row * own)})`);
  const columns = pieceTables[table].join(", ");
  const text = `insert into ${table} (${columns}) values ${rows.join(", ")} on conflict do nothing returning start`;
  texts.set(name, text);
  return text;
}
