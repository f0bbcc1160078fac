/**
 * What a log is made of, in SQL: its entries, and the hashes of its tiles. Each is a row for every piece that a group wrote, which begins
 * at `start` and stays within one bundle or tile of 256, so that one of those is found by a range of starts and nothing is written twice.
 */
import type { RowValue } from "../crypto/row-mac.ts";
import { KmsError } from "../errors.ts";
import type { LogAppend, LogName } from "./log-store.ts";
import type { Query, Row } from "./sql.ts";
import { type PieceTableName, pieceTables } from "./sql-schema.ts";

interface Piece {
  /** What names the piece within its log, after the tenant and the number. */
  place: number[];
  data: Uint8Array;
}

/** Entries of a bundle, and hashes of a tile. */
const tileWidth = 256;
const hashBytes = 32;
const lengthBytes = 2;
/** Saves round trips; but SQLite looks each parameter up by its number, one after the other. */
const piecesAStatement = 32;

/**
 * Writes what a group adds. DATA_LOSS where there is something in its place, which the head that the group was made for does not know:
 * then the head is not the last one that was written.
 */
export async function insertPieces(query: Query, { expect, next, entries, hashes }: LogAppend): Promise<void> {
  await insert(query, "kms_log_entries", expect, entryPieces(entries, expect.size, next.size));
  const pieces = hashes.flatMap(({ tileLevel, start, hashes: each }) =>
    piecesOf(start, each.length / hashBytes, (index) => index * hashBytes, each).map(({ place, data }) => {
      return { place: [tileLevel, ...place], data };
    }),
  );
  await insert(query, "kms_log_hashes", expect, pieces);
}

export async function readHashes(query: Query, log: LogName, tileLevel: number, tile: number): Promise<Uint8Array> {
  const rows = await query(
    "select start, data from kms_log_hashes where tenant_id = ?1 and number = ?2 and level = ?3 and start >= ?4 and start < ?5 order by start",
    log.tenantId,
    log.number,
    tileLevel,
    tile * tileWidth,
    (tile + 1) * tileWidth,
  );
  return joined(rows);
}

export async function readEntries(query: Query, log: LogName, bundle: number): Promise<Uint8Array> {
  const rows = await query(
    "select start, data from kms_log_entries where tenant_id = ?1 and number = ?2 and start >= ?3 and start < ?4 order by start",
    log.tenantId,
    log.number,
    bundle * tileWidth,
    (bundle + 1) * tileWidth,
  );
  return joined(rows);
}

/** In memory of their own: a view of a shared one would take all of it along to another thread. */
function joined(rows: readonly Row[]): Uint8Array {
  const pieces = rows.map(({ data }) => data as Uint8Array);
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** `data` holds what begins at `start`, of which the one at each index begins at an offset; cut where a tile ends. */
function piecesOf(start: number, count: number, offset: (index: number) => number, data: Uint8Array): Piece[] {
  const pieces: Piece[] = [];
  for (let from = 0; from < count; ) {
    const to = Math.min(count, from + tileWidth - ((start + from) % tileWidth));
    pieces.push({ place: [start + from], data: data.subarray(offset(from), offset(to)) });
    from = to;
  }
  return pieces;
}

function entryPieces(entries: Uint8Array, from: number, to: number): Piece[] {
  const offsets = [0];
  let at = 0;
  while (at + lengthBytes <= entries.length) {
    at += lengthBytes + entries[at]! * 256 + entries[at + 1]!;
    offsets.push(at);
  }
  if (at !== entries.length || offsets.length - 1 !== to - from) {
    throw new KmsError("INTERNAL", "a group has as many entries as its log grows by");
  }
  return piecesOf(from, to - from, (index) => offsets[index]!, entries);
}

async function insert(
  query: Query,
  table: PieceTableName,
  { tenantId, number }: LogName,
  pieces: readonly Piece[],
): Promise<void> {
  for (let first = 0; first < pieces.length; first += piecesAStatement) {
    const some = pieces.slice(first, first + piecesAStatement);
    const values = some.flatMap(({ place, data }): RowValue[] => [...place, data]);
    const written = await query(insertText(table, some.length), tenantId, number, ...values);
    if (written.length === some.length) continue;
    throw new KmsError(
      "DATA_LOSS",
      `log ${number} of tenant ${tenantId} has entries behind its head, which was set back: run fluo-kms check`,
    );
  }
}

const texts = new Map<string, string>();

/** One text for every number of pieces, so that it is prepared once. */
function insertText(table: PieceTableName, pieces: number): string {
  const name = `${table} ${pieces}`;
  let text = texts.get(name);
  if (text === undefined) {
    const own = pieceTables[table].length - 2;
    const rows = Array.from({ length: pieces }, (_, row) => {
      const values = Array.from({ length: own }, (_, column) => `?${3 + row * own + column}`);
      return `(?1, ?2, ${values.join(", ")})`;
    });
    const columns = pieceTables[table].join(", ");
    text = `insert into ${table} (${columns}) values ${rows.join(", ")} on conflict do nothing returning start`;
    texts.set(name, text);
  }
  return text;
}
