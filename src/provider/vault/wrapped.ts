/**
 * A wrapped key is Vault's own text in ASCII, `vault:v<version>:<base64 of nonce ‖ ciphertext ‖ tag>`, as `vault write transit/decrypt/…`
 * takes it. Vault reads several spellings of one ciphertext (v0 is v1, 01 is 1, base64 with other spare bits); here each has one.
 */
import { decodeBase64 } from "../../encoding/base64.ts";

export const maxWrappedBytes = 8192;

/** nonce (12) ‖ at least a byte ‖ tag (16). */
const minSealedBytes = 29;
const prefix = /^vault:v([1-9][0-9]{0,8}):/;
const longestPrefix = "vault:v123456789:".length;

/** The version of the key that wrapped it; undefined for what is no wrapped key of ours. */
export function wrappedVersion(wrapped: Uint8Array): number | undefined {
  if (wrapped.length > maxWrappedBytes) return undefined;
  const head = prefix.exec(Buffer.from(wrapped.subarray(0, longestPrefix)).toString("latin1"));
  if (head === null) return undefined;
  const sealed = decodeBase64(wrapped.subarray(head[0].length));
  return sealed !== undefined && sealed.length >= minSealedBytes ? Number(head[1]) : undefined;
}

/**
 * Flips the bit that makes a letter of the base64 small or large, so that the text keeps its form. The letter is not one of the last, whose
 * bits may count for nothing.
 */
export function withOneLetterChanged(wrapped: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(wrapped);
  const at = copy.findLastIndex((byte, index) => index < copy.length - 4 && isLetter(byte));
  if (at >= 0) copy[at]! ^= 0x20;
  return copy;
}

function isLetter(byte: number): boolean {
  return /[A-Za-z]/.test(String.fromCharCode(byte));
}
