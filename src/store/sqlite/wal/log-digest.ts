/** A digest that names a log beside its database, so that what is accepted is one damage and never the next. */
import { createHash, type Hash } from "node:crypto";
import { closeSync, readSync } from "node:fs";
import { openIfThere } from "./frames.ts";

const databaseHeaderBytes = 100;
const chunkBytes = 1024 * 1024;

/** SHA-256, in hex, over the first 100 bytes of the database file, if it is there, and then all bytes of its log. For a database that no process has open. */
export function logDigest(file: string): string {
  const hash = createHash("sha256");
  addFile(hash, file, databaseHeaderBytes);
  addFile(hash, `${file}-wal`, Number.POSITIVE_INFINITY);
  return hash.digest("hex");
}

function addFile(hash: Hash, path: string, most: number): void {
  const descriptor = openIfThere(path);
  if (descriptor === undefined) return;
  try {
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, most));
    for (let at = 0; at < most; ) {
      const count = readSync(descriptor, chunk, 0, Math.min(chunk.length, most - at), at);
      if (count === 0) return;
      hash.update(chunk.subarray(0, count));
      at += count;
    }
  } finally {
    closeSync(descriptor);
  }
}
