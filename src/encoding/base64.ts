/**
 * Base64 (RFC 4648 §4) in its canonical spelling, the only one that encodes back. Text that is no secret goes through Node's own codec; what
 * is written into a message goes straight into its memory; and a secret goes from bytes to bytes, so that it never becomes a string.
 */

/** The bytes of a text that is no secret; undefined for any other text. */
export function canonicalBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

/** The bytes of a text that is no secret, in either alphabet, padded or not, but of no other spelling; undefined for any other text. */
export function eitherBase64(text: string): Uint8Array | undefined {
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return canonicalBase64(standard.endsWith("=") ? standard : standard.padEnd(Math.ceil(text.length / 4) * 4, "="));
}

/** The bytes of unpadded base64url (RFC 4648 §5) that is no secret; undefined for any other text. */
export function canonicalBase64Url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const padding = "=".charCodeAt(0);
const characters = Buffer.from(alphabet);
/** Six bits for each character; -1 for one outside the alphabet. */
const sextets = new Int8Array(256).fill(-1);
for (const [sextet, character] of characters.entries()) sextets[character] = sextet;
/** All pairs of characters, each as the one word of 16 bits that writes both. */
const pairs = Uint16Array.from({ length: 64 * 64 }, (_, bits) =>
  Buffer.from(alphabet.charAt(bits >>> 6) + alphabet.charAt(bits & 63)).readUInt16LE(),
);

/** Straight into memory: a string of it would cost several times as much. Returns the offset behind it. */
export function writeBase64(out: DataView, at: number, source: Uint8Array, start: number, end: number): number {
  let to = at;
  let from = start;
  for (; from + 2 < end; from += 3) {
    const middle = source[from + 1]!;
    out.setUint16(to, pairs[(source[from]! << 4) | (middle >>> 4)]!, true);
    out.setUint16(to + 2, pairs[((middle & 15) << 8) | source[from + 2]!]!, true);
    to += 4;
  }
  if (from === end) return to;
  const second = from + 1 < end ? source[from + 1]! : 0;
  out.setUint16(to, pairs[(source[from]! << 4) | (second >>> 4)]!, true);
  out.setUint16(to + 2, pairs[(second & 15) << 8]!, true);
  if (from + 1 === end) out.setUint8(to + 2, padding);
  out.setUint8(to + 3, padding);
  return to + 4;
}

/** Encodes a secret, whose text the caller owns and overwrites. */
export function encodeBase64(bytes: Uint8Array): Buffer {
  const out = Buffer.alloc(4 * Math.ceil(bytes.length / 3), padding);
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const here = Math.min(3, bytes.length - i);
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    for (let sextet = 0; sextet <= here; sextet += 1) {
      out[at + sextet] = characters[(group >> (18 - 6 * sextet)) & 63]!;
    }
    at += 4;
  }
  return out;
}

/** Decodes a secret; undefined for what `encodeBase64` would not write. */
export function decodeBase64(text: Uint8Array): Buffer | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padded = text.at(-1) !== padding ? 0 : text.at(-2) !== padding ? 1 : 2;
  const out = Buffer.alloc((text.length / 4) * 3 - padded);
  let group = 0;
  for (let i = 0; i < text.length - padded; i += 1) {
    const sextet = sextets[text[i]!]!;
    if (sextet < 0) return undefined;
    group = (group << 6) | sextet;
    if (i % 4 !== 0) out[(i >> 2) * 3 + (i % 4) - 1] = (group >> (6 - 2 * (i % 4))) & 255;
    if (i % 4 === 3) group = 0;
  }
  const unused = padded === 0 ? 0 : group & (padded === 1 ? 3 : 15);
  return unused === 0 ? out : undefined;
}
