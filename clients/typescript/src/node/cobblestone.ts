/**
 * Cobblestone-256: C2SP chunked-encryption (https://c2sp.org/chunked-encryption) with SHA-512 and AES-256-GCM, chunk by chunk.
 * `salt (24) ‖ commitment (32) ‖ chunks`, each chunk 16 KiB of plaintext and a tag of 16 bytes, the last one always shorter and perhaps
 * empty: that is what marks the end.
 */
import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from "node:crypto";

export const chunkBytes = 16_384;
export const tagBytes = 16;
export const prefixBytes = 24 + 32;

const [saltBytes, keyBytes, nonceBytes, commitmentBytes] = [24, 32, 12, 32];
const label = Buffer.from("c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0");
/** The counter has 64 bits; a file of more chunks than this is 64 TiB. */
const maxChunks = 2 ** 32 - 1;

/** What is not as it was sealed: altered, cut, of another key or context. All failures are this one. */
export class SealedFileError extends Error {
  override readonly name = "SealedFileError";

  constructor(options?: ErrorOptions) {
    super("the file is not as it was sealed, or was sealed for another tenant or context", options);
  }
}

/** HKDF-Expand (RFC 5869, 2.3) with SHA-512. */
export function expand(key: Uint8Array, info: Uint8Array, length: number): Buffer {
  const output = Buffer.alloc(length);
  let block = Buffer.alloc(0);
  for (let at = 0, counter = 1; at < length; at += block.length, counter += 1) {
    const next = createHmac("sha512", key).update(block).update(info).update(Buffer.of(counter)).digest();
    block.fill(0);
    block = next;
    block.copy(output, at);
  }
  block.fill(0);
  return output;
}

/** Seals or opens the chunks of one message, in order. */
export interface Chunks {
  /** The salt and the commitment. */
  readonly prefix: Uint8Array;
  seal(plaintext: Uint8Array): Buffer;
  /** Throws SealedFileError. */
  open(sealed: Uint8Array): Buffer;
  /** Overwrites the keys. */
  destroy(): void;
}

/** `inputKey` has 32 uniformly random bytes, and is the caller's to overwrite. A salt is drawn, but in tests. */
export function sealingChunks(
  inputKey: Uint8Array,
  context: Uint8Array,
  salt: Uint8Array = randomBytes(saltBytes),
): Chunks {
  if (inputKey.length !== keyBytes) throw new RangeError(`an input key has ${keyBytes} bytes`);
  const secrets = expand(inputKey, Buffer.concat([label, salt, context]), keyBytes + nonceBytes + commitmentBytes);
  const [key, baseNonce] = [secrets.subarray(0, keyBytes), secrets.subarray(keyBytes, keyBytes + nonceBytes)];
  let counter = 0;

  function nextNonce(): Buffer {
    if (counter >= maxChunks) throw new RangeError("a sealed file has at most 2^32 - 1 chunks");
    const nonce = Buffer.from(baseNonce);
    const at = nonceBytes - 8;
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(at) ^ BigInt(counter), at);
    counter += 1;
    return nonce;
  }

  return {
    prefix: Buffer.concat([salt, secrets.subarray(keyBytes + nonceBytes)]),

    seal(plaintext) {
      const cipher = createCipheriv("aes-256-gcm", key, nextNonce(), { authTagLength: tagBytes });
      return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    },

    open(sealed) {
      const decipher = createDecipheriv("aes-256-gcm", key, nextNonce(), { authTagLength: tagBytes });
      const end = sealed.length - tagBytes;
      if (end < 0) throw new SealedFileError();
      decipher.setAuthTag(sealed.subarray(end));
      const plaintext = decipher.update(sealed.subarray(0, end));
      try {
        decipher.final();
        return plaintext;
      } catch {
        plaintext.fill(0);
        throw new SealedFileError();
      }
    },

    destroy: () => void secrets.fill(0),
  };
}

/** Opens by the 56 bytes that a message begins with. Throws SealedFileError if they are not of this key and context. */
export function openingChunks(inputKey: Uint8Array, context: Uint8Array, prefix: Uint8Array): Chunks {
  if (prefix.length !== prefixBytes) throw new SealedFileError();
  const chunks = sealingChunks(inputKey, context, prefix.subarray(0, saltBytes));
  if (timingSafeEqual(chunks.prefix, prefix)) return chunks;
  chunks.destroy();
  throw new SealedFileError();
}
