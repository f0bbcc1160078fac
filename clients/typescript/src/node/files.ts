/** Files that only a tenant's key opens: sealed with a data key of the service, whose plaintext never leaves this process. */
import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { type CallOptions, Code, ConnectError } from "@connectrpc/connect";
import type { Kms } from "../kms.ts";
import { SealedFileError } from "./cobblestone.ts";
import { openSealed, sealStream } from "./sealed-stream.ts";

export interface FileOptions extends CallOptions {
  /** Pairs that are no secret, and must be given again to open. */
  context?: { readonly [name: string]: string };
}

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
  { context = {}, ...options }: FileOptions = {},
): Promise<void> {
  const { plaintext, ciphertextBlob } = await kms.generateDataKey({ tenantId, encryptionContext: context }, options);
  try {
    await writeWhole(to, sealStream(plaintext, ciphertextBlob, contentOf(from)));
  } finally {
    plaintext.fill(0);
  }
}

/** The reverse, into a new file likewise. Throws SealedFileError for anything that `sealFile` did not write whole. */
export async function openFile(
  kms: Pick<Kms, "decryptDataKey">,
  tenantId: string,
  from: string,
  to: string,
  options: FileOptions = {},
): Promise<void> {
  await writeWhole(to, openSealed(contentOf(from), dataKeyOf(kms, tenantId, options)));
}

/**
 * Delivers the content of a sealed file piece by piece, each authentic, to `deliver`, which is awaited. The end may be missing: only when
 * `openStream` returns was everything delivered. Treat what came before as void until then, and where it throws SealedFileError.
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
  sealed: AsyncIterable<Uint8Array>,
  deliver: (plaintext: Uint8Array) => void | Promise<void>,
  options: FileOptions = {},
): Promise<void> {
  for await (const piece of openSealed(sealed, dataKeyOf(kms, tenantId, options))) await deliver(piece);
}

function dataKeyOf(kms: Pick<Kms, "decryptDataKey">, tenantId: string, { context = {}, ...options }: FileOptions) {
  return async (ciphertextBlob: Uint8Array): Promise<Uint8Array> => {
    try {
      const request = { tenantId, ciphertextBlob, encryptionContext: context };
      return (await kms.decryptDataKey(request, options)).plaintext;
    } catch (error) {
      // The service refuses a blob that is not of this tenant and context in these words alone.
      if (
        error instanceof ConnectError &&
        error.code === Code.InvalidArgument &&
        /ciphertext rejected/.test(error.message)
      )
        throw new SealedFileError({ cause: error });
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
