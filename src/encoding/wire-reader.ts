/**
 * A cursor over protobuf wire bytes, strict where parsers differ: a tag or a length has at most five bytes, a varint fits its type,
 * a bool is 0 or 1. Non-minimal varints are read: they change no value. Every read stays below `end`, the end of its message.
 */
import { refused } from "./wire-error.ts";

export interface Cursor {
  readonly bytes: Buffer;
  /** The same memory, to read several bytes at once. */
  readonly view: DataView;
  at: number;
  /** The high 32 bits of the last varint. */
  high: number;
}

export function cursor(bytes: Uint8Array): Cursor {
  const { buffer, byteOffset, byteLength } = bytes;
  return {
    bytes: Buffer.from(buffer, byteOffset, byteLength),
    view: new DataView(buffer, byteOffset, byteLength),
    at: 0,
    high: 0,
  };
}

/** field number << 3 | wire type. */
export function readTag(c: Cursor, end: number): number {
  const start = c.at;
  const byte = c.bytes[start]!;
  if (byte >= 8 && byte < 0x80 && start < end) {
    c.at = start + 1;
    return byte;
  }
  const tag = readVarint(c, end);
  if (c.high !== 0 || c.at - start > 5) throw refused("a field's tag is longer than 32 bits; encode the message again");
  if (tag < 8) throw refused("field number 0 does not exist; encode the message again");
  return tag;
}

/** Reads the length of a field and returns where the field ends; the cursor then stands at its first byte. */
export function readEnd(c: Cursor, end: number): number {
  const start = c.at;
  const byte = c.bytes[start]!;
  if (byte < 0x80 && byte < end - start) {
    c.at = start + 1;
    return start + 1 + byte;
  }
  const length = readVarint(c, end);
  if (c.high !== 0 || c.at - start > 5) throw refused("a length is longer than 32 bits; encode the message again");
  if (length > end - c.at) throw truncated();
  return c.at + length;
}

export function readUint32(c: Cursor, end: number): number {
  const value = readVarint(c, end);
  if (c.high !== 0) throw refused("does not fit into 32 bits");
  return value;
}

/** An enum of the values 0 to `last`. */
export function readEnum(c: Cursor, end: number, last: number): number {
  const value = readVarint(c, end);
  if (c.high !== 0 || value > last) throw refused(`is not one of the enum's numbers, 0 to ${last}`);
  return value;
}

export function readBool(c: Cursor, end: number): boolean {
  const value = readVarint(c, end);
  if (c.high !== 0 || value > 1) throw refused("a bool is 0 or 1 on the wire");
  return value === 1;
}

/** The low 32 bits; the high 32 are left in the cursor. */
export function readInt64(c: Cursor, end: number): number {
  return readVarint(c, end);
}

/** Returns where it lies. */
export function skipFixed64(c: Cursor, end: number): number {
  return skip(c, end, 8);
}

/** 32 bits as they lie, little-endian. Signed, because V8 keeps a number of 32 bits with a sign in place and others on the heap. */
export function int32At({ view }: Cursor, at: number): number {
  return view.getInt32(at, true);
}

export function readDouble(c: Cursor, end: number): number {
  return c.view.getFloat64(skip(c, end, 8), true);
}

export function skipFixed32(c: Cursor, end: number): void {
  skip(c, end, 4);
}

/** Where a message lies in the bytes. */
export interface Extent {
  start: number;
  end: number;
}

/** Of a length-delimited field that is left unread. */
export function readExtent(c: Cursor, end: number): Extent {
  const stop = readEnd(c, end);
  const extent = { start: c.at, end: stop };
  c.at = stop;
  return extent;
}

/** The bytes of a length-delimited field, as a view. */
export function readBytes(c: Cursor, end: number): Buffer {
  const stop = readEnd(c, end);
  const view = c.bytes.subarray(c.at, stop);
  c.at = stop;
  return view;
}

function skip(c: Cursor, end: number, length: number): number {
  const at = c.at;
  if (length > end - at) throw truncated();
  c.at = at + length;
  return at;
}

/** The low 32 bits of a varint of up to 64; the high 32 are left in the cursor. */
function readVarint(c: Cursor, end: number): number {
  if (c.at < end && c.bytes[c.at]! < 0x80) {
    c.high = 0;
    return c.bytes[c.at++]!;
  }
  return readLongVarint(c, end);
}

function readLongVarint(c: Cursor, end: number): number {
  let low = 0;
  let high = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    if (c.at >= end) throw truncated();
    const byte = c.bytes[c.at++]!;
    const bits = byte & 0x7f;
    if (shift < 32) low |= bits << shift;
    if (shift === 28) high = bits >>> 4;
    if (shift > 28) high |= bits << (shift - 32);
    if (byte >= 0x80) continue;
    if (shift === 63 && bits > 1) break;
    c.high = high >>> 0;
    return low >>> 0;
  }
  throw refused("a varint is longer than 64 bits");
}

function truncated() {
  return refused("ends before its length says; send the whole message");
}
