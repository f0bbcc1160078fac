/**
 * A small reader of write-ahead logs, made from https://www.sqlite.org/fileformat2.html#the_write_ahead_log alone. It
 * says how far SQLite reads a log, and whether the log proves that SQLite would drop a durable commit.
 */
import { framePart, frameBytes, inFrame, walHeaderBytes } from "../support/wal-files.ts";

export interface ReadLog {
  isHeaderWhole: boolean;
  frames: number;
  /** Frames that verify, from the first one on. SQLite reads no more. */
  verified: number;
  /** The last of the verified frames that ends a commit; 0 if none does. */
  lastCommit: number;
  /** Frames that end a commit and whose checksum follows from what is before them, of whatever salts. */
  commits: number;
  /** Whether the header verifies and the first frame has other salts: SQLite reads no frame. */
  isHeaderOfOther: boolean;
  /** A frame behind the damage that was written on top of a commit behind the damage. 0 if there is none. */
  proof: number;
}

type Sums = readonly [number, number];

const magic = 0x377f0682;
const headerPart = { salt: 16, summed: 24 } as const;

/** Reads a log with pages of 4,096 bytes, by the byte order of this machine if the header is damaged. */
export function readLog(log: Buffer): ReadLog {
  const frames = Math.max(0, Math.floor((log.length - walHeaderBytes) / frameBytes));
  const isHeaderWhole = frames > 0 && headerVerifies(log) && isOfFrames(log);
  const isBigEndian = isHeaderWhole && log.readUInt32BE(0) === magic + 1;
  let verified = 0;
  let lastCommit = 0;
  let commits = 0;
  let isHeaderOfOther = false;
  let proof = 0;
  for (let frame = 1; frame <= frames; frame += 1) {
    const isFirst = frame === 1;
    const before = isFirst ? headerPart.summed : inFrame(frame - 1, framePart.checksum);
    const saltsBefore = isHeaderWhole || isFirst ? headerPart.salt : inFrame(frame - 1, framePart.salt);
    const chains = isSame(
      sumsAt(log, inFrame(frame, framePart.checksum)),
      frameSums(log, frame, sumsAt(log, before), isBigEndian),
    );
    const isCurrent = isSame(sumsAt(log, inFrame(frame, framePart.salt)), sumsAt(log, saltsBefore));
    const follows = chains && isCurrent;
    if (chains && endsCommit(log, frame)) commits += 1;
    if (isFirst) isHeaderOfOther = isHeaderWhole && !isCurrent;
    if (isHeaderWhole && follows && verified === frame - 1) {
      verified = frame;
      if (endsCommit(log, frame)) lastCommit = frame;
    } else if (follows && proof === 0 && frame - 1 > verified && endsCommit(log, frame - 1)) proof = frame;
  }
  return { isHeaderWhole, frames, verified, lastCommit, commits, isHeaderOfOther, proof };
}

/** The frames of a log that end a commit, whether they verify or not. */
export function commitsOf(log: Buffer): number[] {
  const frames = Math.max(0, Math.floor((log.length - walHeaderBytes) / frameBytes));
  return Array.from({ length: frames }, (_, index) => index + 1).filter((frame) => endsCommit(log, frame));
}

function endsCommit(log: Buffer, frame: number): boolean {
  return log.readUInt32BE(inFrame(frame, framePart.commitMark)) > 0;
}

function headerVerifies(log: Buffer): boolean {
  const word = log.readUInt32BE(0);
  if (word !== magic && word !== magic + 1) return false;
  const sums = summed(log.subarray(0, headerPart.summed), word === magic + 1, [0, 0]);
  return isSame(sums, sumsAt(log, headerPart.summed));
}

/** Whether the header has the salts of the first frame, or of a later use of the log: those have first salts that grow by 1. */
function isOfFrames(log: Buffer): boolean {
  const [header, first] = [sumsAt(log, headerPart.salt), sumsAt(log, inFrame(1, framePart.salt))];
  const uses = (header[0] - first[0]) >>> 0;
  return isSame(header, first) || (uses > 0 && uses <= 65_536) || log.readUInt32BE(inFrame(1, 0)) === 0;
}

function frameSums(log: Buffer, frame: number, seed: Sums, isBigEndian: boolean): Sums {
  const head = log.subarray(inFrame(frame, 0), inFrame(frame, framePart.salt));
  const page = log.subarray(inFrame(frame, framePart.page), inFrame(frame + 1, 0));
  return summed(page, isBigEndian, summed(head, isBigEndian, seed));
}

function summed(bytes: Buffer, isBigEndian: boolean, seed: Sums): Sums {
  const word = (at: number) => (isBigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at));
  let [first, second] = seed;
  for (let at = 0; at < bytes.length; at += 8) {
    first = (first + word(at) + second) >>> 0;
    second = (second + word(at + 4) + first) >>> 0;
  }
  return [first, second];
}

function sumsAt(log: Buffer, at: number): Sums {
  return [log.readUInt32BE(at), log.readUInt32BE(at + 4)];
}

function isSame(a: Sums, b: Sums): boolean {
  return a[0] === b[0] && a[1] === b[1];
}
