/** The database file: only its owner reads it, and its name is on disk before anything in it is. */
import { fsyncSync, openSync, closeSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { KmsError } from "../errors.ts";

const ownerOnly = 0o600;
const othersMask = 0o077;

/** Creates the file if need be. STORE_UNAVAILABLE where it cannot be used, or can be read by others. */
export function prepareFile(path: string): void {
  try {
    create(path);
    // Windows has no such modes: every file reads as 0o666 there.
    if (process.platform !== "win32" && (statSync(path).mode & othersMask) !== 0) {
      throw new KmsError("STORE_UNAVAILABLE", `${path} can be read by others; run: chmod 600 ${path}`);
    }
  } catch (cause) {
    if (cause instanceof KmsError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    throw new KmsError("STORE_UNAVAILABLE", `the SQLite file ${path} cannot be used (${code})`, { cause });
  }
}

function create(path: string): void {
  try {
    synced(openSync(path, "wx", ownerOnly));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return;
    throw error;
  }
  if (process.platform !== "win32") synced(openSync(dirname(path), "r")); // directories cannot be opened there
}

function synced(file: number): void {
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
