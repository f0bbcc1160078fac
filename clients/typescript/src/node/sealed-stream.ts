/**
 * The format of sealed files, as streams of bytes: `fluo-kms/file/v1\n ‖ u16be length ‖ ciphertext_blob ‖ Cobblestone-256`, whose context is
 * all that is before it, and whose input key is HKDF-Expand-SHA-512(data key, "fluo-kms/client/v1/file", 32).
 */
import {
  type Chunks,
  chunkBytes,
  expand,
  openingChunks,
  prefixBytes,
  SealedFileError,
  sealingChunks,
  tagBytes,
} from "./cobblestone.ts";

const magic = Buffer.from("fluo-kms/file/v1\n");
const maxBlobBytes = 1024;
const fileKeyInfo = Buffer.from("fluo-kms/client/v1/file");
const fileKeyBytes = 32;
const sealedChunkBytes = chunkBytes + tagBytes;

/** A data key, and the blob from which the service gives it again. */
export interface DataKey {
  plaintext: Uint8Array;
  ciphertextBlob: Uint8Array;
}

/**
 * Yields the sealed file. `newDataKey` gives its data key, which is overwritten here; it is asked for once the plaintext has begun to
 * come. Where the plaintext fails, what was yielded has no last chunk, and does not open.
 */
export async function* sealed(
  plaintext: AsyncIterable<Uint8Array>,
  newDataKey: () => Promise<DataKey>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const source = byteSource(plaintext);
  try {
    let chunk = await source.upTo(chunkBytes);
    const { head, chunks } = sealingWith(await newDataKey());
    try {
      yield Buffer.concat([head, chunks.prefix]);
      for (; chunk.length === chunkBytes; chunk = await source.upTo(chunkBytes)) yield chunks.seal(chunk);
      yield chunks.seal(chunk);
    } finally {
      chunks.destroy();
    }
  } finally {
    await source.close();
  }
}

function sealingWith({ plaintext, ciphertextBlob: blob }: DataKey): { head: Uint8Array; chunks: Chunks } {
  try {
    if (blob.length < 1 || blob.length > maxBlobBytes)
      throw new RangeError(`a ciphertext_blob of 1 to ${maxBlobBytes} bytes fits into a file`);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(blob.length);
    const head = Buffer.concat([magic, length, blob]);
    return { head, chunks: withFileKey(plaintext, (key) => sealingChunks(key, head)) };
  } finally {
    plaintext.fill(0);
  }
}

/**
 * Yields chunks of plaintext that are authentic, though perhaps not all: what was yielded counts for nothing unless the generator ends
 * without a SealedFileError. `dataKeyOf` gives the data key of a blob, which is overwritten here.
 */
export async function* openSealed(
  sealed: AsyncIterable<Uint8Array>,
  dataKeyOf: (blob: Uint8Array) => Promise<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const source = byteSource(sealed);
  try {
    const start = await source.upTo(magic.length + 2);
    const length = start.length === magic.length + 2 ? start.readUInt16BE(magic.length) : 0;
    if (!start.subarray(0, magic.length).equals(magic) || length < 1 || length > maxBlobBytes)
      throw new SealedFileError();
    const blob = await source.upTo(length);
    const prefix = await source.upTo(prefixBytes);
    if (blob.length < length || prefix.length < prefixBytes) throw new SealedFileError();
    const dataKey = await dataKeyOf(blob);
    const head = Buffer.concat([start, blob]);
    let chunks: Chunks;
    try {
      chunks = withFileKey(dataKey, (key) => openingChunks(key, head, prefix));
    } finally {
      dataKey.fill(0);
    }
    try {
      for (let isLast = false; !isLast; ) {
        const chunk = await source.upTo(sealedChunkBytes);
        isLast = chunk.length < sealedChunkBytes;
        const plaintext = chunks.open(chunk);
        if (plaintext.length > 0) yield plaintext;
      }
    } finally {
      chunks.destroy();
    }
  } finally {
    await source.close();
  }
}

/** A data key is never used raw. */
function withFileKey<T>(dataKey: Uint8Array, use: (key: Buffer) => T): T {
  const key = expand(dataKey, fileKeyInfo, fileKeyBytes);
  try {
    return use(key);
  } finally {
    key.fill(0);
  }
}

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Bytes of a stream in pieces of a wanted length, whatever pieces they come in. */
function byteSource(stream: AsyncIterable<Uint8Array>) {
  const iterator = stream[Symbol.asyncIterator]();
  let rest: Uint8Array = Buffer.alloc(0);
  return {
    /** Fewer bytes at the end alone. */
    async upTo(length: number): Promise<Buffer> {
      const parts: Uint8Array[] = [];
      let missing = length;
      while (missing > 0) {
        if (rest.length === 0) {
          const next = await iterator.next();
          if (next.done) break;
          rest = next.value;
        }
        const part = rest.subarray(0, missing);
        rest = rest.subarray(part.length);
        missing -= part.length;
        parts.push(part);
      }
      // Copied only if it must be: garbage outside of V8's heap is collected late.
      return parts.length === 1 ? asBuffer(parts[0]!) : Buffer.concat(parts);
    },

    async close(): Promise<void> {
      await iterator.return?.();
    },
  };
}
