/**
 * A heads file on disk: two files that are written in turn, so that one is whole whatever happens to the other. The newest that is authentic
 * counts. Files are written and synced outside of this thread and of the store's.
 */
import { createHash, type KeyObject } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { KmsError } from "../../errors.ts";
import { step } from "../../failpoints.ts";
import { generationsOf, maxHeadsBytes } from "../sqlite/wal/noted-commits.ts";
import { decodeHeads, type HeadsContent } from "./format.ts";
import type { HeadsPlace } from "./place.ts";

/** A heads file as it is on disk. */
export interface HeadsFile {
  /** SHA-256 of the generation that counts, or, if none is authentic, of all there is, in lower-case hex; undefined if there is none. */
  sha256: string | undefined;
  /** Undefined if there is none, or none that is authentic. */
  content: HeadsContent | undefined;
}

export const noHeadsFile: HeadsFile = { sha256: undefined, content: undefined };

const ownerOnly = 0o600;

/** Reads both generations; without a key, see `headsKey`, none is authenticated. STORE_UNAVAILABLE if a file is there and cannot be read. */
export async function readHeads(path: string, key: KeyObject | undefined): Promise<HeadsFile> {
  const all = (await Promise.all(generationsOf(path).map(bytesOf))).filter((bytes) => bytes !== undefined);
  if (all.length === 0) return noHeadsFile;
  const authentic = all.flatMap((bytes) => {
    const content = decodeHeads(bytes, key);
    return content === undefined ? [] : [{ bytes, content }];
  });
  const newest = authentic.sort((a, b) => b.content.generation - a.content.generation)[0];
  return { sha256: sha256(newest === undefined ? Buffer.concat(all) : newest.bytes), content: newest?.content };
}

async function bytesOf(file: string): Promise<Buffer | undefined> {
  try {
    const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)); // a pipe is waited for otherwise
    try {
      const found = await handle.stat();
      if (!found.isFile()) throw notAFile(file);
      const bytes = Buffer.alloc(found.size > maxHeadsBytes ? 0 : found.size);
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
      return bytes.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof KmsError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    const message = `the heads file ${file} cannot be read (${code}): let the service's user read it`;
    throw new KmsError("STORE_UNAVAILABLE", message, { cause });
  }
}

function notAFile(path: string): KmsError {
  return new KmsError(
    "STORE_UNAVAILABLE",
    `the heads file ${path} cannot be read, as it is a directory, a device or a pipe: move it away`,
  );
}

/** Replaces the older of both files. The new one is on disk when this resolves; after an error it may be there, or not. */
export async function writeHeads(
  { file: path, database }: Pick<HeadsPlace, "file" | "database">,
  generation: number,
  text: string,
): Promise<void> {
  const draft = `${path}.new`;
  const file = await open(draft, "w", ownerOnly);
  try {
    await chownLike(file, [...generationsOf(path), database]);
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  step("heads.drafted");
  await rename(draft, generationsOf(path)[generation % 2]!);
  step("heads.renamed");
  await syncDirectory(dirname(path));
}

/** A command that root runs must not keep the service from the file: it goes to the owner of the first of `others` that is there. */
async function chownLike(file: FileHandle, others: readonly (string | undefined)[]): Promise<void> {
  if (process.getuid?.() !== 0) return;
  for (const other of others) {
    const owner = other === undefined ? undefined : await stat(other).catch(() => undefined);
    if (owner !== undefined) return file.chown(owner.uid, owner.gid);
  }
}

async function syncDirectory(path: string): Promise<void> {
  if (process.platform === "win32") return; // directories cannot be opened there
  const directory: FileHandle = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Tells one state of the files from every other: each write makes another file. */
export async function signatureOf(path: string): Promise<string> {
  const stats = await Promise.all(
    generationsOf(path).map((file) => stat(file, { bigint: true }).catch(() => undefined)),
  );
  return stats.map((each) => (each ? `${each.ino}:${each.mtimeNs}:${each.size}` : "none")).join();
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
