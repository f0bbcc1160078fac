/** Base64 (RFC 4648 §4) from bytes to bytes, so that a secret in it never becomes a string. Only the canonical spelling is read. */

const alphabet = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const padding = "=".charCodeAt(0);
const sextets = new Int8Array(256).fill(-1);
for (const [sextet, character] of alphabet.entries()) sextets[character] = sextet;

export function encodeBase64(bytes: Uint8Array): Buffer {
  const out = Buffer.alloc(4 * Math.ceil(bytes.length / 3), padding);
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const here = Math.min(3, bytes.length - i);
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    for (let sextet = 0; sextet <= here; sextet += 1) {
      out[at + sextet] = alphabet[(group >> (18 - 6 * sextet)) & 63]!;
    }
    at += 4;
  }
  return out;
}

/** Undefined for what `encodeBase64` would not write. */
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
