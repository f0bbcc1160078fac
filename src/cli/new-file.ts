/** A result in a file of its own: complete under its name, or not there at all. */
import { closeSync, existsSync, fsyncSync, linkSync, openSync, unlinkSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { Failure, UsageError } from "./command.ts";

/** What exists is never replaced: it may be what is to be signed, or evidence of before. Throws UsageError. */
export function refuseExisting(file: string): void {
  if (existsSync(file)) throw new UsageError(`${file} exists already; name another file`);
  if (!existsSync(dirname(file))) throw new UsageError(`the directory of ${file} does not exist`);
}

/** Written and synced under another name in the same directory first. Throws a Failure that says why it cannot be. */
export function writeNewFile(file: string, pieces: Iterable<Uint8Array | string>): void {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    const opened = openSync(temporary, "wx");
    try {
      for (const piece of pieces) writeWhole(opened, typeof piece === "string" ? Buffer.from(piece) : piece);
      fsyncSync(opened);
    } finally {
      closeSync(opened);
    }
    // Unlike a rename, a link fails if somebody made the file meanwhile.
    linkSync(temporary, file);
    syncDirectory(dirname(file));
  } catch (error) {
    throw new Failure(
      `${file} cannot be written (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`,
    );
  } finally {
    removeIfThere(temporary);
  }
}

function writeWhole(opened: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(opened, bytes, at);
}

/** So that the name lasts, too. Not every platform opens a directory. */
function syncDirectory(directory: string): void {
  let opened: number;
  try {
    opened = openSync(directory, "r");
  } catch {
    return;
  }
  try {
    fsyncSync(opened);
  } finally {
    closeSync(opened);
  }
}

function removeIfThere(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
