/**
 * Cobblestone-256: C2SP chunked-encryption (https://c2sp.org/chunked-encryption) with SHA-512 and AES-256-GCM.
 * `salt (24) ‖ commitment (32) ‖ chunks`, each chunk 16 KiB of plaintext and a tag, the last one always shorter and
 * perhaps empty: that is what marks the end. A message is held in memory, so 2^38 chunks are never reached.
 */
import { timingSafeEqual } from "node:crypto";
import {
  decryptGcm,
  encryptGcm,
  type GcmParameters,
  gcmKeyBytes,
  gcmNonceBytes,
  gcmTagBytes,
} from "../crypto/aes-gcm.ts";
import type { HkdfKey } from "../crypto/hkdf.ts";
import { saltSource } from "../crypto/salts.ts";
import { ciphertextRejected, KmsError } from "../errors.ts";

export const saltBytes = 24;
const commitmentBytes = 32;
const chunkBytes = 16_384;
const prefixBytes = saltBytes + commitmentBytes;
const sealedChunkBytes = chunkBytes + gcmTagBytes;
const nonceEnd = gcmKeyBytes + gcmNonceBytes;
const commitmentEnd = nonceEnd + commitmentBytes;
const infoLabel = Buffer.from("c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0");

const drawSalt = saltSource(saltBytes);

// What one message is sealed or opened with. Neither waits for anything, and both overwrite the secrets.
const freshSalt = new Uint8Array(saltBytes);
const derived = new Uint8Array(commitmentEnd);
const messageKey = derived.subarray(0, gcmKeyBytes);
const baseNonce = derived.subarray(gcmKeyBytes, nonceEnd);
const commitment = derived.subarray(nonceEnd, commitmentEnd);

/** Authenticated, and must be given again to open: one byte after the other, however they are divided into parts. */
export type Context = readonly Uint8Array[];

/** `inputKey` is of 32 uniformly random bytes. */
export function seal(inputKey: HkdfKey, context: Context, plaintext: Uint8Array): Uint8Array {
  const sealed = Buffer.allocUnsafe(sealedLength(plaintext.length));
  sealInto(sealed, 0, inputKey, context, plaintext);
  return sealed;
}

/**
 * The same into memory that is at hand, from `at` on. A salt is given for test vectors alone: one that repeats under an input key gives the
 * plaintexts away.
 */
export function sealInto(
  sealed: Uint8Array,
  at: number,
  inputKey: HkdfKey,
  context: Context,
  plaintext: Uint8Array,
  salt = drawnSalt(),
): void {
  const chunks = chunkCount(plaintext.length);
  if (sealed.length - at < sealedLength(plaintext.length)) throw new KmsError("INTERNAL", "no room to seal in");
  deriveSecrets(inputKey, salt, context);
  try {
    sealed.set(salt, at);
    sealed.set(commitment, at + saltBytes);
    for (let index = 0; index < chunks; index += 1) {
      const chunk = chunks === 1 ? plaintext : plaintext.subarray(index * chunkBytes, (index + 1) * chunkBytes);
      encryptGcm(chunkParameters(index), chunk, sealed, at + prefixBytes + index * sealedChunkBytes);
    }
  } finally {
    derived.fill(0);
  }
}

/** Until the next one is drawn. */
function drawnSalt(): Uint8Array {
  drawSalt(freshSalt);
  return freshSalt;
}

/** Throws CIPHERTEXT_REJECTED for every failure. The caller owns, and overwrites, the result. */
export function open(inputKey: HkdfKey, context: Context, sealed: Uint8Array): Uint8Array {
  checkSealedLength(sealed.length);
  deriveSecrets(inputKey, sealed.subarray(0, saltBytes), context);
  try {
    if (!timingSafeEqual(commitment, sealed.subarray(saltBytes, prefixBytes))) throw ciphertextRejected();
    return openChunks(sealed.subarray(prefixBytes));
  } finally {
    derived.fill(0);
  }
}

/** Bytes of the ciphertext of `plaintextBytes`. */
export function sealedLength(plaintextBytes: number): number {
  return prefixBytes + plaintextBytes + chunkCount(plaintextBytes) * gcmTagBytes;
}

/** Throws CIPHERTEXT_REJECTED for a length that no plaintext has: cheap, and before any key is touched. */
export function checkSealedLength(sealedBytes: number): void {
  const lastChunk = (sealedBytes - prefixBytes) % sealedChunkBytes;
  if (sealedBytes < prefixBytes || lastChunk < gcmTagBytes) throw ciphertextRejected();
}

/** A full last chunk is followed by an empty one. */
function chunkCount(plaintextBytes: number): number {
  return Math.floor(plaintextBytes / chunkBytes) + 1;
}

/** Nothing is released before the last chunk is authentic. */
function openChunks(sealedChunks: Uint8Array): Uint8Array {
  const chunks: Uint8Array[] = [];
  try {
    for (let index = 0; index * sealedChunkBytes < sealedChunks.length; index += 1) {
      const start = index * sealedChunkBytes;
      const sealedChunk = sealedChunks.subarray(start, start + sealedChunkBytes);
      chunks.push(decryptGcm(chunkParameters(index), sealedChunk));
    }
  } catch (error) {
    for (const chunk of chunks) chunk.fill(0);
    throw error;
  }
  return chunks.length === 1 ? chunks[0]! : join(chunks);
}

/** Moves the chunks into one buffer. Not Buffer.concat: plaintext does not go into node's shared pool. */
function join(chunks: readonly Uint8Array[]): Uint8Array {
  const plaintext = Buffer.allocUnsafeSlow(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    plaintext.set(chunk, at);
    at += chunk.length;
    chunk.fill(0);
  }
  return plaintext;
}

function deriveSecrets(inputKey: HkdfKey, salt: Uint8Array, context: Context): void {
  if (inputKey.keyBytes() !== gcmKeyBytes) throw new KmsError("INTERNAL", "a Cobblestone-256 input key is 32 bytes");
  if (salt.length !== saltBytes) throw new KmsError("INTERNAL", `a Cobblestone salt is ${saltBytes} bytes`);
  inputKey.expand([infoLabel, salt, ...context], derived);
}

/** The nonce is the base nonce XOR the chunk's number, big-endian; a buffer never has 2^32 chunks. The AAD is empty. */
function chunkParameters(index: number): GcmParameters {
  if (index === 0) return { key: messageKey, nonce: baseNonce };
  const nonce = Buffer.from(baseNonce);
  const at = gcmNonceBytes - 4;
  nonce.writeUInt32BE((nonce.readUInt32BE(at) ^ index) >>> 0, at);
  return { key: messageKey, nonce };
}
