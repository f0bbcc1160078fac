/**
 * What is left of erased bytes in a SQLite file. `secure_delete` overwrites a row that is deleted or made shorter, but not the copy that
 * stays in the unused middle of a page when its rows were moved to make room for a neighbour. It is found by reading the file once.
 */
import { readSync } from "node:fs";

/** A piece that is left counts if it holds one of these, whole: what opens a wrapped key is at its end. */
const pieceBytes = 16;
const pieces = 3;
const chunkBytes = 1024 * 1024;
const prefixes = 1 << 16;

/**
 * Whether the file holds a part of any of `erased`. It is read by a descriptor that is open already, and stays so: a process that closes one
 * drops the locks that SQLite holds for it on that file.
 */
export function holdsAny(descriptor: number, erased: readonly Uint8Array[]): boolean {
  const needles = erased.flatMap(tailPieces);
  if (needles.length === 0) return false;
  const isPrefix = new Uint8Array(prefixes);
  for (const needle of needles) isPrefix[needle.readUInt16LE()] = 1;
  const chunk = Buffer.allocUnsafe(chunkBytes);
  for (let position = 0; ; position += chunkBytes - pieceBytes) {
    const found = chunk.subarray(0, readSync(descriptor, chunk, 0, chunkBytes, position));
    if (holdsChunk(found, needles, isPrefix)) return true;
    if (found.length < chunkBytes) return false;
  }
}

function tailPieces(bytes: Uint8Array): Buffer[] {
  const buffer = Buffer.from(bytes);
  return Array.from({ length: pieces }, (_, index) => buffer.length - (index + 1) * pieceBytes)
    .filter((start) => start >= 0)
    .map((start) => buffer.subarray(start, start + pieceBytes));
}

/** One pass, however many are looked for: few places begin like one of them. */
function holdsChunk(bytes: Buffer, needles: readonly Buffer[], isPrefix: Uint8Array): boolean {
  const last = bytes.length - pieceBytes;
  for (let at = 0; at <= last; at += 1) {
    if (isPrefix[bytes[at]! | (bytes[at + 1]! << 8)] === 0) continue;
    if (needles.some((needle) => needle.compare(bytes, at, at + pieceBytes) === 0)) return true;
  }
  return false;
}
