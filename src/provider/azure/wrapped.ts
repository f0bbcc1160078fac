/**
 * A wrapped key of this provider. Key Vault wraps a key and binds no context, so here a fresh key K seals the plaintext, and the vault
 * wraps K:
 *
 *     version 0x01 (1) ‖ algorithm (1) ‖ 0x20 ‖ key version (32 lower-case hex digits) ‖ u16be length ‖ wrapped K ‖ sealed
 *     sealed = iv (12) ‖ ciphertext ‖ tag (16), AES-256-GCM under K, AAD = all before it ‖ canonical provider context
 *
 * Every length is that of its algorithm, so each wrapped key has one spelling. Algorithms: 1 RSA-OAEP-256, 2 A128KW, 3 A192KW, 4 A256KW.
 */
import { gcmNonceBytes, gcmTagBytes, openGcm, sealGcm } from "../../crypto/aes-gcm.ts";
import { type ProviderContext, providerContextBytes } from "../../crypto/encryption-context.ts";
import { ciphertextRejected } from "../../errors.ts";
import { isPlaintextLength } from "../secrets.ts";

export type WrapAlgorithm = "RSA-OAEP-256" | "A128KW" | "A192KW" | "A256KW";

/** What was wrapped under which version of the vault's key. */
export interface WrappedForm {
  algorithm: WrapAlgorithm;
  version: string;
  /** K, wrapped by the vault. */
  wrappedKey: Uint8Array;
  /** All before `sealed`. */
  head: Uint8Array;
  sealed: Uint8Array;
}

/** Of K. */
export const secretBytes = 32;

const formatVersion = 1;
const codes: ReadonlyMap<WrapAlgorithm, number> = new Map([
  ["RSA-OAEP-256", 1],
  ["A128KW", 2],
  ["A192KW", 3],
  ["A256KW", 4],
]);
const algorithms = new Map([...codes].map(([algorithm, code]) => [code, algorithm]));

const versionDigits = 32;
export const keyVersion = /^[0-9a-f]{32}$/;
const versionStart = 3;
const lengthStart = versionStart + versionDigits;
const keyStart = lengthStart + 2;

/** A modulus of 2048, 3072 or 4096 bits. */
const rsaBytes: readonly number[] = [256, 384, 512];
/** RFC 3394, 2.2.1: eight bytes more than the key. */
const aesKwBytes: readonly number[] = [secretBytes + 8];

/** How long K is when it is wrapped. */
export function wrappedKeyBytes(algorithm: WrapAlgorithm): readonly number[] {
  return algorithm === "RSA-OAEP-256" ? rsaBytes : aesKwBytes;
}

export interface Seal extends Pick<WrappedForm, "algorithm" | "version" | "wrappedKey"> {
  /** K. The caller overwrites it. */
  secret: Uint8Array;
  plaintext: Uint8Array;
  context: ProviderContext;
}

export function sealWrapped({ algorithm, version, wrappedKey, secret, plaintext, context }: Seal): Uint8Array {
  const head = Buffer.alloc(keyStart + wrappedKey.length);
  head.set([formatVersion, codes.get(algorithm)!, versionDigits]);
  head.write(version, versionStart, "latin1");
  head.writeUInt16BE(wrappedKey.length, lengthStart);
  head.set(wrappedKey, keyStart);
  return Uint8Array.from(Buffer.concat([head, sealGcm(secret, plaintext, boundBytes(head, context))]));
}

/** Throws CIPHERTEXT_REJECTED for what is not of this form, to the byte. */
export function parseWrapped(wrapped: Uint8Array): WrappedForm {
  const bytes = Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.length);
  if (bytes.length < keyStart || bytes[0] !== formatVersion || bytes[2] !== versionDigits) throw ciphertextRejected();
  const algorithm = algorithms.get(bytes[1]!);
  const version = bytes.toString("latin1", versionStart, lengthStart);
  const sealedStart = keyStart + bytes.readUInt16BE(lengthStart);
  const plaintextBytes = bytes.length - sealedStart - gcmNonceBytes - gcmTagBytes;
  if (
    algorithm === undefined ||
    !keyVersion.test(version) ||
    !wrappedKeyBytes(algorithm).includes(sealedStart - keyStart) ||
    !isPlaintextLength(plaintextBytes)
  ) {
    throw ciphertextRejected();
  }
  return {
    algorithm,
    version,
    wrappedKey: bytes.subarray(keyStart, sealedStart),
    head: bytes.subarray(0, sealedStart),
    sealed: bytes.subarray(sealedStart),
  };
}

/** Throws CIPHERTEXT_REJECTED under another context, and for what another K sealed. The caller overwrites K, and owns the result. */
export function openWrapped({ head, sealed }: WrappedForm, secret: Uint8Array, context: ProviderContext): Uint8Array {
  return openGcm(secret, sealed, boundBytes(head, context));
}

function boundBytes(head: Uint8Array, context: ProviderContext): Uint8Array {
  return Buffer.concat([head, providerContextBytes(context)]);
}
