/** A result in a file of its own: complete under its name, or not there at all. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { Failure, UsageError } from "./command.ts";

/** Throws UsageError for a file that exists, since it may be what is to be signed or earlier evidence, and for one without a directory. */
export function refuseExisting(file: string): void {
  if (existsSync(file)) throw new UsageError(`${file} exists already; name another file`);
  if (!existsSync(dirname(file))) throw new UsageError(`the directory of ${file} does not exist`);
}

/** Makes the directory of a file if it is not there. Throws a Failure that says why it cannot be made. */
export function makeFolderOf(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
  } catch (error) {
    throw unwritable(file, error);
  }
}

/** Opens what {@link writeNewFile} would write to, and removes it: an end before there is anything to write leaves nothing behind. */
export function refuseUnwritable(file: string): void {
  const temporary = temporaryOf(file);
  try {
    closeSync(openSync(temporary, "wx"));
    rmSync(temporary);
  } catch (error) {
    throw unwritable(file, error);
  }
}

/** Writes and syncs under another name in the same directory first. Throws a Failure that says why the file cannot be made. */
export function writeNewFile(file: string, pieces: Iterable<Uint8Array | string>, mode = 0o666): void {
  const temporary = temporaryOf(file);
  let isMade = false;
  try {
    const opened = openSync(temporary, "wx", mode);
    isMade = true;
    try {
      for (const piece of pieces) writeWhole(opened, typeof piece === "string" ? Buffer.from(piece) : piece);
      fsyncSync(opened);
    } finally {
      closeSync(opened);
    }
    if (existsSync(file)) throw new Failure(`${file} was made meanwhile; name another file`);
    renameSync(temporary, file);
    syncDirectory(dirname(file));
  } catch (error) {
    if (isMade) rmSync(temporary, { force: true });
    throw error instanceof Failure ? error : unwritable(file, error);
  }
}

function temporaryOf(file: string): string {
  return `${file}.${process.pid}.tmp`;
}

function unwritable(file: string, error: unknown): Failure {
  return new Failure(
    `${file} cannot be written (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`,
  );
}

function writeWhole(opened: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(opened, bytes, at);
}

/** Makes the name durable, too. Not every platform opens a directory. */
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
