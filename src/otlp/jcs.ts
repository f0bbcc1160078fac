/**
 * RFC 8785 (JCS) text as it is written, straight into memory: strings would cost several times as much. Every member and every element has
 * a comma behind it, and what closes the list takes the place of the last one.
 */
import { KmsError } from "../errors.ts";
import { viewOf, writeHex } from "../encoding/digits.ts";

export interface Json {
  /** UTF-8. */
  bytes: Buffer;
  /** The same memory, to write several bytes at once. */
  view: DataView;
  /** Where the text goes on. */
  at: number;
}

export const colon = 0x3a;
export const comma = 0x2c;
export const quote = 0x22;
export const openObject = 0x7b;
export const closeObject = 0x7d;
export const closeList = 0x5d;

export function newJson(): Json {
  const bytes = Buffer.alloc(0);
  return { bytes, view: viewOf(bytes), at: 0 };
}

/**
 * What n bytes on the wire say takes at most 8 n bytes of text: the worst is an event of four bytes, whose one member has a long name. What
 * is sorted takes that twice. And some names come once a message.
 */
const textBytesAWireByte = 16;
const textBytesAMessage = 1024;
const usualBytes = 64 * 1024;

/** Room for the text of a message of that many bytes on the wire. Nothing that writes looks whether there is any. */
export function makeRoom(json: Json, wireBytes: number): void {
  const needed = json.at + textBytesAWireByte * wireBytes + textBytesAMessage;
  if (needed <= json.bytes.length) return;
  const bytes = Buffer.allocUnsafeSlow(Math.max(needed, 2 * json.bytes.length, usualBytes));
  bytes.set(json.bytes.subarray(0, json.at));
  json.bytes = bytes;
  json.view = viewOf(bytes);
}

/** The text from `start` on. */
export function textFrom(json: Json, start: number): string {
  checkRoom(json);
  return json.bytes.toString("utf8", start, json.at);
}

/** A typed array drops what is written behind its end. */
export function checkRoom({ bytes, at }: Json): void {
  if (at > bytes.length) throw new KmsError("INTERNAL", "a span's canonical form is longer than it can be");
}

/** A piece of text that never changes, in words of four bytes, which are written whole: what is too much is written over. */
export interface Piece {
  words: Int32Array;
  length: number;
}

export function piece(text: string): Piece {
  const bytes = Buffer.alloc(Math.ceil(text.length / 4) * 4);
  bytes.write(text, "latin1");
  const words = Int32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readInt32LE(4 * i));
  return { words, length: text.length };
}

export function put(json: Json, { words, length }: Piece): void {
  const { view, at } = json;
  for (let i = 0; i < words.length; i += 1) view.setInt32(at + 4 * i, words[i]!, true);
  json.at = at + length;
}

export function putBytes(json: Json, text: Uint8Array): void {
  json.bytes.set(text, json.at);
  json.at += text.length;
}

export function putByte(json: Json, byte: number): void {
  json.bytes[json.at] = byte;
  json.at += 1;
}

export function putAscii(json: Json, text: string): void {
  const { bytes, at } = json;
  for (let i = 0; i < text.length; i += 1) bytes[at + i] = text.charCodeAt(i);
  json.at = at + text.length;
}

/** Moves the text that begins at `from` in front of the one that begins at `start`. */
export function moveBefore(json: Json, start: number, from: number): void {
  const passed = Buffer.from(json.bytes.subarray(start, from));
  json.bytes.copyWithin(start, from, json.at);
  json.bytes.set(passed, json.at - passed.length);
}

/** Takes back the comma behind the last member or element, if there is one. */
export function close(json: Json, bracket: number): void {
  if (json.bytes[json.at - 1] === comma) json.bytes[json.at - 1] = bracket;
  else putByte(json, bracket);
}

/** The same of an object that began at `start`, of which nothing is left where it has no member. */
export function closeUnlessEmpty(json: Json, start: number): void {
  if (json.at === start + 1) json.at = start;
  else close(json, closeObject);
}

export function putHex(json: Json, source: Uint8Array, start: number, end: number): void {
  json.at = writeHex(json.view, json.at, source, start, end);
}
