/** Bytes as text and back. Base64 counts in its canonical spelling alone, the only one that encodes back. */
import { TextDecoder, TextEncoder } from "./platform.ts";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const sextets = new Map(Array.from(`${alphabet}-_`, (character, i) => [character, i < 64 ? i : i - 2]));

const encoder = new TextEncoder();
// ignoreBOM keeps a leading U+FEFF: it is part of the value.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function utf8Bytes(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Undefined for what is not UTF-8. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Each byte as the character of its number. */
export function latin1Text(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

export function hexText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** Bytes of pairs of hex digits, in either case. */
export function hexBytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

export function base64Text(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const [first, second = 0, third = 0] = bytes.subarray(i, i + 3);
    const bits = (first! << 16) | (second << 8) | third;
    for (let shift = 18; shift >= 0; shift -= 6) text += alphabet[(bits >>> shift) & 63];
  }
  const missing = (3 - (bytes.length % 3)) % 3;
  return text.slice(0, text.length - missing) + "==".slice(0, missing);
}

/** Undefined for any other text. */
export function canonicalBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = looseBase64(text);
  return bytes !== undefined && base64Text(bytes) === text ? bytes : undefined;
}

/** Bytes of base64url without padding (RFC 4648, 5). Undefined for any other text. */
export function canonicalBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (/[+/=]/.test(text)) return undefined;
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return canonicalBase64(standard.padEnd(Math.ceil(text.length / 4) * 4, "="));
}

/**
 * Bytes as protobuf's JSON parsers read them: either alphabet, padded or not, with white space and padding between. Undefined for any other text.
 * Spellings differ where nothing is signed but the bytes.
 */
export function looseBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes: number[] = [];
  let bits = 0;
  let count = 0;
  for (const character of text) {
    const sextet = sextets.get(character);
    if (sextet === undefined) {
      if (!"=\n\r\t ".includes(character)) return undefined;
      if (character === "=") count = 0;
      continue;
    }
    bits = ((bits << 6) | sextet) & 0xffff;
    count = (count + 1) % 4;
    if (count !== 1) bytes.push((bits >>> (count === 0 ? 0 : 8 - 2 * count)) & 0xff);
  }
  return count === 1 ? undefined : Uint8Array.from(bytes);
}

/** Takes a list, not arguments: an export may have more parts than a call takes arguments. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
