/** Base64 (RFC 4648, section 4) in the one spelling that encodes back: several decode to the same bytes. */

/** Undefined for any other text. */
export function canonicalBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const padding = 0x3d;
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
