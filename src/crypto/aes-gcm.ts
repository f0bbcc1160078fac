/**
 * AES-256-GCM (NIST SP 800-38D) with a 96-bit nonce and a 128-bit tag, and no other sizes.
 * `sealGcm` and `openGcm` carry their own random nonce: `iv (12) ‖ ciphertext ‖ tag (16)`. `encryptGcm` and
 * `decryptGcm` are for constructions that derive a nonce; none of them takes one from a caller of the API.
 */
import { createCipheriv, createDecipheriv, type KeyObject, randomFillSync } from "node:crypto";
import { ciphertextRejected, KmsError } from "../errors.ts";

export const gcmKeyBytes = 32;
export const gcmNonceBytes = 12;
export const gcmTagBytes = 16;

/** A KeyObject, or 32 bytes for a key that lives for one message and is overwritten after it. */
export type GcmKey = KeyObject | Uint8Array;

export interface GcmParameters {
  key: GcmKey;
  /** 12 bytes, never used twice with a key. */
  nonce: Uint8Array;
  aad?: Uint8Array;
}

const algorithm = "aes-256-gcm";
/** Without it, node before 26 accepts truncated tags. */
const options = { authTagLength: gcmTagBytes };

/** A fresh random nonce each: for at most 2^32 messages a key. */
export function sealGcm(key: GcmKey, plaintext: Uint8Array, aad: Uint8Array): Uint8Array {
  const sealed = Buffer.allocUnsafe(gcmNonceBytes + plaintext.length + gcmTagBytes);
  const nonce = randomFillSync(sealed.subarray(0, gcmNonceBytes));
  encryptGcm({ key, nonce, aad }, plaintext, sealed, gcmNonceBytes);
  return sealed;
}

/** Throws CIPHERTEXT_REJECTED. The caller owns, and overwrites, the result. */
export function openGcm(key: GcmKey, sealed: Uint8Array, aad: Uint8Array): Uint8Array {
  if (sealed.length < gcmNonceBytes + gcmTagBytes) throw ciphertextRejected();
  return decryptGcm({ key, nonce: sealed.subarray(0, gcmNonceBytes), aad }, sealed.subarray(gcmNonceBytes));
}

/** Writes `ciphertext ‖ tag`, 16 bytes more than the plaintext, to `out`, from `at` on. */
export function encryptGcm(parameters: GcmParameters, plaintext: Uint8Array, out: Uint8Array, at: number): void {
  checkSizes(parameters);
  if (out.length - at < plaintext.length + gcmTagBytes) throw new KmsError("INTERNAL", "no room for the AES-GCM tag");
  const cipher = createCipheriv(algorithm, parameters.key, parameters.nonce, options);
  if (parameters.aad !== undefined) cipher.setAAD(parameters.aad);
  out.set(cipher.update(plaintext), at);
  cipher.final();
  out.set(cipher.getAuthTag(), at + plaintext.length);
}

/** Opens `ciphertext ‖ tag`; throws CIPHERTEXT_REJECTED, and then nothing of the plaintext is left in memory. */
export function decryptGcm(parameters: GcmParameters, sealed: Uint8Array): Uint8Array {
  checkSizes(parameters);
  if (sealed.length < gcmTagBytes) throw ciphertextRejected();
  const tagStart = sealed.length - gcmTagBytes;
  const decipher = createDecipheriv(algorithm, parameters.key, parameters.nonce, options);
  if (parameters.aad !== undefined) decipher.setAAD(parameters.aad);
  decipher.setAuthTag(sealed.subarray(tagStart));
  const unverified = decipher.update(sealed.subarray(0, tagStart));
  try {
    decipher.final();
  } catch {
    unverified.fill(0);
    throw ciphertextRejected();
  }
  return unverified;
}

function checkSizes({ key, nonce }: GcmParameters): void {
  const keyBytes = key instanceof Uint8Array ? key.length : key.symmetricKeySize;
  if (keyBytes !== gcmKeyBytes) throw new KmsError("INTERNAL", `an AES-256-GCM key is ${gcmKeyBytes} bytes`);
  if (nonce.length !== gcmNonceBytes) throw new KmsError("INTERNAL", `an AES-GCM nonce is ${gcmNonceBytes} bytes`);
}
