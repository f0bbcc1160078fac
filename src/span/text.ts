/**
 * Strings from the wire. They are UTF-8 or refused: a replacement character would let two different spans share a canonical form. Most are
 * ASCII without anything to escape; one look at each byte finds those.
 */
import { type Json, piece, put, putByte, quote } from "./json.ts";
import { refused } from "./refusal.ts";
import { type Cursor, readBytes, readEnd } from "./wire.ts";

const escaped = 1;
const notAscii = 2;

/** What each byte asks for: nothing, an escape in JSON, or a check that it is UTF-8. */
const kinds = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte > 0x7f) return notAscii;
  return byte < 0x20 || byte === 0x22 || byte === 0x5c ? escaped : 0;
});

/** RFC 8785 escapes as ECMAScript does. */
const escapes = Array.from(kinds, (kind, byte) =>
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
  for (let i = start; i < stop; i += 1) kind |= kinds[bytes[i]!]!;
  if (kind >= notAscii) decodeUtf8(bytes.subarray(start, stop));
  c.at = stop;
  return stop - start;
}

/** Writes a string as RFC 8785 does. Returns where it starts on the wire. */
export function putString(c: Cursor, end: number, json: Json): number {
  const stop = readEnd(c, end);
  const start = c.at;
  putByte(json, quote);
  if (!putPlain(c, start, stop, json)) putUnusual(c.bytes, start, stop, json);
  putByte(json, quote);
  c.at = stop;
  return start;
}

/**
 * Writes a piece of the wire if it is ASCII without anything to escape, as most strings are, and returns whether it was. Four bytes at once:
 * of each, the highest bit tells what the other bits hold.
 */
function putPlain(c: Cursor, start: number, stop: number, json: Json): boolean {
  const { bytes: wire, view: wireView } = c;
  const { bytes: text, view: textView, at } = json;
  let unusual = 0;
  let to = at;
  let i = start;
  for (; i + 4 <= stop; i += 4, to += 4) {
    const word = wireView.getInt32(i, true);
    const quotes = word ^ 0x22222222;
    const backslashes = word ^ 0x5c5c5c5c;
    unusual |= word | ((word - 0x20202020) & ~word);
    unusual |= ((quotes - 0x01010101) & ~quotes) | ((backslashes - 0x01010101) & ~backslashes);
    textView.setInt32(to, word, true);
  }
  unusual &= 0x80808080;
  for (; i < stop; i += 1, to += 1) {
    const byte = wire[i]!;
    unusual |= kinds[byte]!;
    text[to] = byte;
  }
  if (unusual === 0) json.at = to;
  return unusual === 0;
}

/** Writes any other piece of the wire. */
function putUnusual(wire: Buffer, start: number, stop: number, json: Json): void {
  let seen = 0;
  for (let i = start; i < stop; i += 1) {
    const byte = wire[i]!;
    const kind = kinds[byte]!;
    seen |= kind;
    if (kind === escaped) put(json, escapes[byte]!);
    else putByte(json, byte);
  }
  if (seen >= notAscii) decodeUtf8(wire.subarray(start, stop));
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw refused("is not valid UTF-8; encode the text as UTF-8, or send it as bytes");
  }
}
