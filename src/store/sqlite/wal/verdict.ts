/**
 * What a write-ahead log tells before SQLite opens it. SQLite believes a log up to the first frame that does not verify. Behind a crash that
 * is right, as nobody was told of what comes then; behind damage it drops commits that were durable, and its next checkpoint writes old
 * pages over newer ones.
 */
import { closeSync, fstatSync, readSync } from "node:fs";
import { KmsError } from "../../../errors.ts";
import { type Frame, isPageSize, openIfThere, openWal, type Wal } from "./frames.ts";

export type WalVerdict =
  /** All that was committed will be read. */
  | { kind: "whole" }
  /** The database has no page, so that SQLite would delete the log, whatever its header says. */
  | { kind: "orphaned"; commits: number }
  /**
   * All pages of the log are in the database already: without the log nothing is lost, and with it SQLite would write old pages back.
   * `firstDamaged` is 0 for the header, here and below.
   */
  | { kind: "settled"; firstDamaged: number }
  /** A commit was durable that SQLite would drop: another transaction was begun behind it. */
  | { kind: "lost"; firstDamaged: number; commit: number }
  /**
   * Frames are behind the last commit that will be read. Either a crash left them so, and nobody was told of them, or they were a durable
   * commit and are damaged now. `holdsMark` is whether one of them has a commit mark: without one they are of a transaction that never ended.
   * `isHeaderDamaged` is whether SQLite would read none of them for the log's header.
   */
  | { kind: "undecided"; lastCommit: number; holdsMark: boolean; isHeaderDamaged: boolean };

/** Reads the log of a database that no process has open. Nothing is changed. STORE_UNAVAILABLE where it cannot be read. */
export function judgeWal(file: string): WalVerdict {
  try {
    return judged(file);
  } catch (cause) {
    const { syscall, code } = cause as NodeJS.ErrnoException;
    if (syscall === undefined) throw cause;
    throw new KmsError("STORE_UNAVAILABLE", `${file} and its write-ahead log cannot be read (${code})`, { cause });
  }
}

function judged(file: string): WalVerdict {
  const database = openDatabaseFile(file);
  try {
    const wal = openWal(`${file}-wal`, database?.pageBytes);
    if (wal === undefined) return { kind: "whole" };
    try {
      const commits = database === undefined ? commitsOf(wal) : 0;
      return commits > 0 ? { kind: "orphaned", commits } : verdictOf(wal, database);
    } finally {
      wal.close();
    }
  } finally {
    database?.close();
  }
}

function verdictOf(wal: Wal, database: DatabaseFile | undefined): WalVerdict {
  const { lastCommit, firstDamaged, provenCommit, last, lastMarked } = extentOf(wal);
  if (last <= lastCommit) return { kind: "whole" };
  if (firstDamaged <= last && database !== undefined) {
    // Where SQLite reads every commit mark there is, it writes nothing that is old: what follows is what a crash left of a commit.
    const isDropped = lastMarked > lastCommit && isInDatabase(wal, lastMarked, database);
    if (isDropped || isInDatabase(wal, last, database)) return { kind: "settled", firstDamaged };
  }
  if (provenCommit !== undefined) return { kind: "lost", firstDamaged, commit: provenCommit };
  return { kind: "undecided", lastCommit, holdsMark: lastMarked > lastCommit, isHeaderDamaged: firstDamaged === 0 };
}

function commitsOf(wal: Wal): number {
  return wal
    .frames()
    .reduce((count, { pageNumber, commitPages }) => count + (pageNumber > 0 && commitPages > 0 ? 1 : 0), 0);
}

interface Extent {
  /** The last commit before the first frame that does not verify: SQLite reads no more. */
  lastCommit: number;
  /** 0 if it is the header that is damaged, or none. */
  firstDamaged: number;
  /** The first commit behind the damage that another transaction follows. */
  provenCommit: number | undefined;
  /** The last frame of this use of the log, and the last one of them with a commit mark. */
  last: number;
  lastMarked: number;
}

function extentOf(wal: Wal): Extent {
  const { isValid } = wal.header;
  let firstDamaged = isValid ? Number.POSITIVE_INFINITY : 0;
  let [lastCommit, last, lastMarked] = [0, 0, 0];
  let provenCommit: number | undefined;
  let commitBefore: number | undefined;
  for (const frame of wal.frames()) {
    const { index, commitPages, isCurrent, chains } = frame;
    // Salts are under no checksum, and those of the header may be damaged; frames of an earlier use chain among themselves alone.
    const isOfThisUse = isCurrent || (chains && last === index - 1);
    const verifies = chains && (isValid ? isCurrent : isOfThisUse);
    if (!verifies) firstDamaged = Math.min(firstDamaged, index);
    const isDamaged = index >= firstDamaged;
    if (verifies && isDamaged) provenCommit ??= commitBefore;
    if (isOfThisUse) last = index;
    if (isOfThisUse && commitPages > 0) lastMarked = index;
    if (!isDamaged && commitPages > 0) lastCommit = index;
    commitBefore = isDamaged && isOfThisUse && endsCommit(frame) ? index : undefined;
  }
  return { lastCommit, firstDamaged, provenCommit, last, lastMarked };
}

/**
 * A power cut may write the sectors of a frame in any order, and leave one out. So a mark counts if the frame verifies. It also counts if the
 * frame's header lies in one sector: then it was written together with the checksum that the next frame builds on.
 */
function endsCommit(frame: Frame): boolean {
  return frame.commitPages > 0 && (frame.chains || frame.isHeaderWhole);
}

/** Whether the database has the newest page of the frames up to `until`, of each page that they hold. */
function isInDatabase(wal: Wal, until: number, database: DatabaseFile): boolean {
  const newest = new Map<number, number>();
  for (const { index, pageNumber } of wal.frames()) {
    if (index > until) break;
    newest.set(pageNumber, index);
  }
  for (const frame of wal.frames()) {
    if (frame.index > until) break;
    if (newest.get(frame.pageNumber) !== frame.index) continue;
    const page = database.page(frame.pageNumber);
    // A damaged frame is a copy of the page if its checksum is that of the page.
    if (page === undefined || !(page.equals(frame.page) || frame.chainsWith(page))) return false;
  }
  return true;
}

interface DatabaseFile {
  pageBytes: number;
  /** Valid until the next is read. Undefined if the file ends before it. */
  page(number: number): Buffer | undefined;
  close(): void;
}

/** Undefined if there is no file, or it has no page yet. */
function openDatabaseFile(path: string): DatabaseFile | undefined {
  const descriptor = openIfThere(path);
  if (descriptor === undefined) return undefined;
  const header = Buffer.alloc(100);
  readSync(descriptor, header, 0, header.length, 0);
  const stored = header.readUInt16BE(16);
  const pageBytes = stored === 1 ? 65_536 : stored;
  const { size } = fstatSync(descriptor);
  if (!isPageSize(pageBytes) || size < pageBytes) {
    closeSync(descriptor);
    return undefined;
  }
  const page = Buffer.allocUnsafe(pageBytes);
  return {
    pageBytes,
    page(number) {
      const start = (number - 1) * pageBytes;
      if (number < 1 || start + pageBytes > size) return undefined;
      readSync(descriptor, page, 0, pageBytes, start);
      return page;
    },
    close: () => closeSync(descriptor),
  };
}
