/** Base64 (RFC 4648, section 4) in the one spelling that encodes back: several decode to the same bytes. */

/** Undefined for any other text. */
export function canonicalBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

const alphabet = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const padding = 0x3d;

/** Base64 of a few bytes, straight into its place: a string in between costs several times as much. Returns the offset behind it. */
export function writeBase64(out: Uint8Array, start: number, bytes: Uint8Array, from: number, length: number): number {
  let at = start;
  for (let left = length, i = from; left > 0; left -= 3, i += 3) {
    const second = left > 1 ? bytes[i + 1]! : 0;
    const third = left > 2 ? bytes[i + 2]! : 0;
    const group = (bytes[i]! << 16) | (second << 8) | third;
    out[at] = alphabet[group >> 18]!;
    out[at + 1] = alphabet[(group >> 12) & 63]!;
    out[at + 2] = left > 1 ? alphabet[(group >> 6) & 63]! : padding;
    out[at + 3] = left > 2 ? alphabet[group & 63]! : padding;
    at += 4;
  }
  return at;
}
