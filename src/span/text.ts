/**
 * Strings and ids from the wire. Strings are UTF-8 or refused: a replacement character would let two different spans share a canonical
 * form. Most are ASCII without anything to escape; one look at each byte finds those.
 */
import { refused } from "./refusal.ts";
import { type Cursor, readBytes, readEnd } from "./wire.ts";

const escaped = 1;
const notAscii = 2;

/** What each byte asks for: nothing, an escape in JSON, or UTF-8 decoding. */
const kinds = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte > 0x7f) return notAscii;
  return byte < 0x20 || byte === 0x22 || byte === 0x5c ? escaped : 0;
});

// ignoreBOM keeps a leading U+FEFF: it is part of the value.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function readString(c: Cursor, end: number): string {
  const stop = readEnd(c, end);
  const start = c.at;
  let kind = 0;
  for (let i = start; i < stop; i += 1) kind |= kinds[c.bytes[i]!]!;
  c.at = stop;
  c.plain = kind === 0;
  return kind < notAscii ? c.latin1.slice(start, stop) : decodeUtf8(c.bytes.subarray(start, stop));
}

/** A string as RFC 8785 writes it. */
export function readJsonString(c: Cursor, end: number): string {
  const value = readString(c, end);
  return c.plain ? `"${value}"` : JSON.stringify(value);
}

/** A string that outlives the request: it holds on to no piece of it. */
export function readOwnString(c: Cursor, end: number): string {
  return Buffer.from(readString(c, end)).toString();
}

/** A trace or span id in hex; "" when it is missing or all zero. */
export function readId(c: Cursor, end: number, length: number): string {
  const id = readBytes(c, end);
  if (id.length === length) return id.some((byte) => byte !== 0) ? id.toString("hex") : "";
  if (id.length === 0) return "";
  throw refused(
    isHexTakenForBase64(id, length) ? hexForBase64 : `is not ${length} bytes long; give the id as its ${length} bytes`,
  );
}

const hexForBase64 = "hex was given where base64 is due: in JSON a bytes field is base64, ids too; convert it";

/** Hex text of an id, decoded as base64, has half as many bytes again, which encode to hex digits only. */
function isHexTakenForBase64(id: Buffer, length: number): boolean {
  return id.length === length * 1.5 && /^[0-9a-fA-F]+$/.test(id.toString("base64"));
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw refused("is not valid UTF-8; encode the text as UTF-8, or send it as bytes");
  }
}
