/** Base64 (RFC 4648, section 4) in the one spelling that encodes back: several decode to the same bytes. */

/** Undefined for any other text. */
export function canonicalBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

const alphabet = Uint8Array.from(Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"));
const padding = 0x3d;

/** Straight into memory: a string of it would cost several times as much. Returns the offset behind it. */
export function writeBase64(out: Uint8Array, at: number, source: Uint8Array, start: number, end: number): number {
  let to = at;
  let from = start;
  for (; from + 2 < end; from += 3) {
    const group = (source[from]! << 16) | (source[from + 1]! << 8) | source[from + 2]!;
    out[to] = alphabet[group >>> 18]!;
    out[to + 1] = alphabet[(group >>> 12) & 63]!;
    out[to + 2] = alphabet[(group >>> 6) & 63]!;
    out[to + 3] = alphabet[group & 63]!;
    to += 4;
  }
  if (from === end) return to;
  const [first, second] = [source[from]!, from + 1 < end ? source[from + 1]! : 0];
  out[to] = alphabet[first >>> 2]!;
  out[to + 1] = alphabet[((first & 3) << 4) | (second >>> 4)]!;
  out[to + 2] = from + 1 < end ? alphabet[(second & 15) << 2]! : padding;
  out[to + 3] = padding;
  return to + 4;
}
