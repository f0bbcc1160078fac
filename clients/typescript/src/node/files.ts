/**
 * Files, streams and bytes that only a tenant's key opens: sealed with a data key of the service, whose plaintext never leaves this process.
 * All have the same form: what one function seals, the other two open.
 */
import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { CallOptions } from "@connectrpc/connect";
import { detailsOf } from "../error-details.ts";
import type { Kms } from "../kms.ts";
import { SealedFileError } from "./cobblestone.ts";
import { type DataKey, openSealed, sealed } from "./sealed-stream.ts";
import { type ByteSink, writeTo } from "./sink.ts";

/** `signal` ends the whole work, whose target is then as it was, or does not open. `timeoutMs` is of the service's call alone. */
export interface FileOptions extends CallOptions {
  /** Pairs that are no secret, and must be given again to open. */
  context?: { readonly [name: string]: string };
}

/** A `Readable` of Node's, a `ReadableStream`, or any other iterable of bytes, in pieces of any length. It is closed in any case. */
export type ByteSource = AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>;

/** The DOM's types do not know that a ReadableStream can be iterated; Node's can. */
const iterated = (source: ByteSource) => source as AsyncIterable<Uint8Array>;

const readBytes = 256 * 1024;

/**
 * Seals the file at `from` into a new file, of mode 0600, which takes the place of `to` once it is whole and on the disk. Where anything
 * fails, `to` is as it was. Takes memory for some chunks, whatever the size of the file.
 */
export async function sealFile(
  kms: Pick<Kms, "generateDataKey">,
  tenantId: string,
  from: string,
  to: string,
  options: FileOptions = {},
): Promise<void> {
  await writeWhole(to, sealed(cancellable(contentOf(from), options.signal), newDataKey(kms, tenantId, options)));
}

/** The reverse, into a new file likewise. Throws SealedFileError for anything that `sealFile` did not write whole. */
export async function openFile(
  kms: Pick<Kms, "decryptDataKey">,
  tenantId: string,
  from: string,
  to: string,
  options: FileOptions = {},
): Promise<void> {
  await writeWhole(to, openSealed(cancellable(contentOf(from), options.signal), dataKeyOf(kms, tenantId, options)));
}

/**
 * Seals what `source` gives, to its end, into `sink`, which it neither ends nor closes. Takes memory for some chunks of 16 KiB, whatever the
 * length. Where source, sink or service fail, rejects with that error, and what was written does not open.
 *
 * ```ts
 * await sealStream(kms, "acme", request, upload, { context: { upload: "7" } });
 * upload.end();
 * ```
 */
export async function sealStream(
  kms: Pick<Kms, "generateDataKey">,
  tenantId: string,
  source: ByteSource,
  sink: ByteSink,
  options: FileOptions = {},
): Promise<void> {
  const pieces = cancellable(iterated(source), options.signal);
  await unlessAborted(writeTo(sink, sealed(pieces, newDataKey(kms, tenantId, options))), options.signal);
}

/**
 * Writes the content of a sealed file or stream to `sink` piece by piece, each authentic, and neither ends nor closes it. The end may be
 * missing: only when `openStream` returns was everything delivered. Treat what came before as void until then, and where it throws
 * SealedFileError.
 *
 * ```ts
 * const rows = await database.begin();
 * try {
 *   await openStream(kms, "acme", createReadStream("rows.sealed"), (piece) => rows.add(piece));
 *   await rows.commit(); // not before: a file that was cut delivers authentic rows, too
 * } catch (error) {
 *   await rows.rollback();
 *   throw error;
 * }
 * ```
 */
export async function openStream(
  kms: Pick<Kms, "decryptDataKey">,
  tenantId: string,
  sealed: ByteSource,
  sink: ByteSink,
  options: FileOptions = {},
): Promise<void> {
  const pieces = cancellable(iterated(sealed), options.signal);
  await unlessAborted(writeTo(sink, openSealed(pieces, dataKeyOf(kms, tenantId, options))), options.signal);
}

/** Returns `data` sealed, in the form of a sealed file: about 250 bytes longer. */
export async function sealBytes(
  kms: Pick<Kms, "generateDataKey">,
  tenantId: string,
  data: Uint8Array,
  options: FileOptions = {},
): Promise<Uint8Array> {
  return whole(sealed(once(data), newDataKey(kms, tenantId, options)));
}

/** The reverse, all or nothing. Throws SealedFileError for anything that was not sealed whole for this tenant and context. */
export async function openBytes(
  kms: Pick<Kms, "decryptDataKey">,
  tenantId: string,
  sealed: Uint8Array,
  options: FileOptions = {},
): Promise<Uint8Array> {
  return whole(openSealed(once(sealed), dataKeyOf(kms, tenantId, options)));
}

/** The pieces, until the signal aborts: then throws its reason. At the end too, so that what was cancelled is never completed. */
async function* cancellable(
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  signal?.throwIfAborted();
  for await (const piece of pieces) {
    signal?.throwIfAborted();
    yield piece;
  }
  signal?.throwIfAborted();
}

/** Rejects as soon as the signal aborts, also while source or sink are waited for. */
async function unlessAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work;
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal.reason);
  });
  signal.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
    // What it was about is told already.
    work.catch(() => {});
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}

async function whole(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece);
  return new Uint8Array(Buffer.concat(parts));
}

function newDataKey(
  kms: Pick<Kms, "generateDataKey">,
  tenantId: string,
  { context = {}, ...options }: FileOptions,
): () => Promise<DataKey> {
  return () => kms.generateDataKey({ tenantId, encryptionContext: context }, options);
}

function dataKeyOf(kms: Pick<Kms, "decryptDataKey">, tenantId: string, { context = {}, ...options }: FileOptions) {
  return async (ciphertextBlob: Uint8Array): Promise<Uint8Array> => {
    try {
      const request = { tenantId, ciphertextBlob, encryptionContext: context };
      return (await kms.decryptDataKey(request, options)).plaintext;
    } catch (error) {
      if (detailsOf(error).reason === "CIPHERTEXT_REJECTED") throw new SealedFileError({ cause: error });
      throw error;
    }
  };
}

/** A stream of Node's would open the file before anybody listens to its errors. */
async function* contentOf(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await open(path, "r");
  try {
    for (;;) {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafeSlow(readBytes));
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

async function writeWhole(to: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const beside = `${to}.${randomBytes(8).toString("hex")}.tmp`;
  const file = await open(beside, "wx", 0o600);
  try {
    try {
      for await (const piece of content) await writeAll(file, piece);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, to);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await syncFolder(dirname(to));
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}

/** So that the new name is on the disk, too, on platforms that can. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch {} // Windows opens no folder
}
