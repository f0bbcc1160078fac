/**
 * Singular fields, which come in any order and are written in RFC 8785's: until their message ends, it is noted where each lies on the
 * wire. 0, where the first tag of all is, stands for a field at its default, of which nothing is written.
 */
import { comma, type Json, type Piece, piece, put, putByte, putHex } from "./jcs.ts";
import { putUint32, putUint64 } from "./jcs-number.ts";
import { refused } from "../encoding/wire-error.ts";
import { checkString, putString } from "./text.ts";
import { type Cursor, int32At, readEnd, skipFixed64 } from "../encoding/wire-reader.ts";

const endOfText = piece('",');

/** A string, which is checked here. */
export function stringAt(c: Cursor, end: number): number {
  const at = c.at;
  return checkString(c, end) === 0 ? 0 : at;
}

export function putStringField(c: Cursor, json: Json, name: Piece, at: number): void {
  if (at === 0) return;
  put(json, name);
  c.at = at;
  putString(c, c.bytes.length, json);
  putByte(json, comma);
}

/** A trace or span id. One that is all zero is at its default, too. */
export function idAt(c: Cursor, end: number, length: number): number {
  const stop = readEnd(c, end);
  const start = c.at;
  c.at = stop;
  if (stop === start) return 0;
  if (stop - start !== length) throw wrongLength(c.bytes.subarray(start, stop), length);
  let bits = 0;
  for (let i = start; i < stop; i += 1) bits |= c.bytes[i]!;
  return bits === 0 ? 0 : start;
}

/** `name` goes as far as the quote of the value. */
export function putIdField(c: Cursor, json: Json, name: Piece, at: number, length: number): void {
  if (at === 0) return;
  put(json, name);
  putHex(json, c.bytes, at, at + length);
  put(json, endOfText);
}

export function fixed64At(c: Cursor, end: number): number {
  const at = skipFixed64(c, end);
  return (int32At(c, at) | int32At(c, at + 4)) === 0 ? 0 : at;
}

/** Written as text, because a double does not hold every one. `name` goes as far as its quote. */
export function putFixed64Field(c: Cursor, json: Json, name: Piece, at: number): void {
  if (at === 0) return;
  put(json, name);
  putUint64(json, int32At(c, at + 4), int32At(c, at));
  put(json, endOfText);
}

/** Of these the value itself is kept. */
export function putUint32Field(json: Json, name: Piece, value: number): void {
  if (value === 0) return;
  put(json, name);
  putUint32(json, value);
  putByte(json, comma);
}

const hexForBase64 = "hex was given where base64 is due: in JSON a bytes field is base64, ids too; convert it";

function wrongLength(id: Buffer, length: number) {
  return refused(
    isHexTakenForBase64(id, length) ? hexForBase64 : `is not ${length} bytes long; give the id as its ${length} bytes`,
  );
}

/** Hex text of an id, decoded as base64, has half as many bytes again, which encode to hex digits only. */
function isHexTakenForBase64(id: Buffer, length: number): boolean {
  return id.length === length * 1.5 && /^[0-9a-fA-F]+$/.test(id.toString("base64"));
}
