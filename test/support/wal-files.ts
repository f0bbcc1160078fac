/** Databases of SQLite with a write-ahead log, copied as a crash leaves them, and damage to their logs. */
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

export const walHeaderBytes = 32;
export const frameBytes = 24 + 4096;

/** Where the parts of a frame begin in it. */
export const framePart = { pageNumber: 0, commitMark: 4, salt: 8, checksum: 16, page: 24 } as const;

export interface WalFolder extends Disposable {
  file: string;
  /** A connection that never checkpoints by itself. */
  db: DatabaseSync;
  /** Copies database and log as they are now, and gives the copy's path. */
  copy(): string;
}

export function newWalFolder(): WalFolder {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-wal-"));
  const file = join(dir, "kms.db");
  const db = new DatabaseSync(file);
  db.exec(
    "pragma page_size = 4096; pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 0",
  );
  db.exec("create table notes (id integer primary key, text blob) strict");
  let copies = 0;
  return {
    file,
    db,
    copy() {
      copies += 1;
      const copy = join(dir, `copy-${copies}.db`);
      for (const end of ["", "-wal"]) if (existsSync(file + end)) copyFileSync(file + end, copy + end);
      return copy;
    },
    [Symbol.dispose]() {
      db.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Where a byte of a frame lies in the log. The first frame is 1. */
export function inFrame(frame: number, byte: number): number {
  return walHeaderBytes + (frame - 1) * frameBytes + byte;
}

export function flip(path: string, byte: number, bit = 0): void {
  edit(path, (bytes) => {
    bytes[byte]! ^= 1 << bit;
  });
}

export function edit(path: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path);
  change(bytes);
  writeFileSync(path, bytes);
}

/** The number of frames of the log's file, and which of them have a commit mark. */
export function framesOf(file: string): { count: number; commits: number[] } {
  const bytes = readFileSync(`${file}-wal`);
  const count = Math.floor((bytes.length - walHeaderBytes) / frameBytes);
  const all = Array.from({ length: count }, (_, index) => index + 1);
  return { count, commits: all.filter((frame) => bytes.readUInt32BE(inFrame(frame, framePart.commitMark)) > 0) };
}

/** The count of commits in a store, as its database and log have it. */
export function commitsIn(file: string): number {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return Number(db.prepare("select commits from kms_commits").get()!.commits);
  } finally {
    db.close();
  }
}
