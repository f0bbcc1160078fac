/** Bytes as text and back. Base64 counts in its canonical spelling alone, the only one that encodes back. */
import { atob, btoa, TextDecoder, TextEncoder } from "./platform.ts";

const encoder = new TextEncoder();
// ignoreBOM keeps a leading U+FEFF: it is part of the value.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function utf8Bytes(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Undefined for what is not UTF-8. Throws RangeError for a text that is longer than the platform's longest. */
export function utf8Text(bytes: Uint8Array): string | undefined {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return undefined;
  }
  // Chromium gives an empty text in its place, as which changed spans would pass.
  if (text === "" && bytes.length > 0) throw new RangeError("a text is too long for this platform");
  return text;
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
  return btoa(latin1Text(bytes));
}

/** Undefined for any other text. */
export function canonicalBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    const latin1 = atob(text);
    if (btoa(latin1) !== text) return undefined;
    const bytes = new Uint8Array(latin1.length);
    for (let i = 0; i < bytes.length; i += 1) bytes[i] = latin1.charCodeAt(i);
    return bytes;
  } catch {
    return undefined;
  }
}

/** Bytes of base64url without padding (RFC 4648, 5). Undefined for any other text. */
export function canonicalBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
  return /[+/=]/.test(text) ? undefined : base64Bytes(text);
}

/** Bytes of base64 in either alphabet, padded or not. Undefined for any other text, and where the last character has bits of no byte. */
export function base64Bytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return canonicalBase64(standard.endsWith("=") ? standard : standard.padEnd(4 * Math.ceil(text.length / 4), "="));
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
