/**
 * Strings from the wire. They are UTF-8 or refused: a replacement character would let two different spans share a canonical form. Most are
 * ASCII without anything to escape; one look at each byte finds those.
 */
import { type Json, piece, put, putByte, quote } from "./jcs.ts";
import { refused } from "../encoding/wire-error.ts";
import { type Cursor, readBytes, readEnd } from "../encoding/wire-reader.ts";

const escaped = 1;
const notAscii = 2;

/** What each byte asks for: nothing, an escape in JSON, or a check that it is UTF-8. */
const kindOf = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte > 0x7f) return notAscii;
  return byte < 0x20 || byte === 0x22 || byte === 0x5c ? escaped : 0;
});

/** RFC 8785 escapes as ECMAScript does. */
const escapes = Array.from(kindOf, (kind, byte) =>
  kind === escaped ? piece(JSON.stringify(String.fromCharCode(byte)).slice(1, -1)) : undefined,
);

// ignoreBOM keeps a leading U+FEFF: it is part of the value.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function readString(c: Cursor, end: number): string {
  return decodeUtf8(readBytes(c, end));
}

/** Reads a string for its form alone. Returns its length. */
export function checkString(c: Cursor, end: number): number {
  const stop = readEnd(c, end);
  const { bytes, at: start } = c;
  let kind = 0;
  for (let i = start; i < stop; i += 1) kind |= kindOf[bytes[i]!]!;
  if (kind >= notAscii) decodeUtf8(bytes.subarray(start, stop));
  c.at = stop;
  return stop - start;
}

/** Writes a string as RFC 8785 does. Returns where it starts on the wire. */
export function putString(c: Cursor, end: number, json: Json): number {
  const stop = readEnd(c, end);
  const { bytes: wire, at: start } = c;
  if (!putPlain(c, start, stop, json)) {
    putByte(json, quote);
    if (putSingly(wire, start, stop, json) >= notAscii) decodeUtf8(wire.subarray(start, stop));
    putByte(json, quote);
  }
  c.at = stop;
  return start;
}

/**
 * The same of the bytes from `start` to before `stop`, if they are ASCII and nothing of it is to be escaped: else it is false, and nothing is
 * written. Four bytes at once: of each, the highest bit tells what the other bits hold.
 */
export function putPlain({ bytes: wire, view: wireView }: Cursor, start: number, stop: number, json: Json): boolean {
  const { view: text } = json;
  let to = json.at;
  text.setUint8(to, quote);
  to += 1;
  let i = start;
  let special = 0;
  for (; i + 4 <= stop; i += 4, to += 4) {
    const word = wireView.getInt32(i, true);
    const quotes = word ^ 0x22222222;
    const backslashes = word ^ 0x5c5c5c5c;
    special |= word | ((word - 0x20202020) & ~word);
    special |= ((quotes - 0x01010101) & ~quotes) | ((backslashes - 0x01010101) & ~backslashes);
    text.setInt32(to, word, true);
  }
  let kinds = 0;
  for (; i < stop; i += 1, to += 1) {
    const byte = wire[i]!;
    kinds |= kindOf[byte]!;
    text.setUint8(to, byte);
  }
  if ((special & 0x80808080) !== 0 || kinds !== 0) return false;
  text.setUint8(to, quote);
  json.at = to + 1;
  return true;
}

/** Writes bytes of a string one by one. Returns what kinds there were. */
function putSingly(wire: Uint8Array, start: number, stop: number, json: Json): number {
  const { bytes: text } = json;
  let kinds = 0;
  for (let i = start; i < stop; i += 1) {
    const byte = wire[i]!;
    const kind = kindOf[byte]!;
    kinds |= kind;
    if (kind === escaped) put(json, escapes[byte]!);
    else {
      text[json.at] = byte;
      json.at += 1;
    }
  }
  return kinds;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw refused("is not valid UTF-8; encode the text as UTF-8, or send it as bytes");
  }
}
