/**
 * The format of sealed files, as streams of bytes: `fluo-kms/file/v1\n ‖ u16be length ‖ ciphertext_blob ‖ Cobblestone-256`, whose context is
 * all that is before it, and whose input key is HKDF-Expand-SHA-512(data key, "fluo-kms/client/v1/file", 32).
 */
import {
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

/** Yields the sealed file. `dataKey` is the caller's to overwrite, once the last chunk is there. */
export async function* sealStream(
  dataKey: Uint8Array,
  blob: Uint8Array,
  plaintext: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (blob.length < 1 || blob.length > maxBlobBytes)
    throw new RangeError(`a ciphertext_blob of 1 to ${maxBlobBytes} bytes fits into a file`);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(blob.length);
  const head = Buffer.concat([magic, length, blob]);
  const chunks = withFileKey(dataKey, (key) => sealingChunks(key, head));
  const source = byteSource(plaintext);
  try {
    yield Buffer.concat([head, chunks.prefix]);
    for (let isLast = false; !isLast; ) {
      const chunk = await source.upTo(chunkBytes);
      isLast = chunk.length < chunkBytes;
      yield chunks.seal(chunk);
    }
  } finally {
    chunks.destroy();
    await source.close();
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
    let chunks: ReturnType<typeof openingChunks>;
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
      return Buffer.concat(parts);
    },

    async close(): Promise<void> {
      await iterator.return?.();
    },
  };
}
