/**
 * A write-ahead log of SQLite read as a file, without SQLite: opening a log that is damaged destroys what it holds. The format is that of
 * https://www.sqlite.org/fileformat2.html#the_write_ahead_log.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { endianness } from "node:os";

/** Two running 32-bit sums. */
export type Sums = readonly [number, number];

export interface WalHeader {
  pageBytes: number;
  /** Byte order of the words that are summed. */
  isBigEndian: boolean;
  salts: Sums;
  /** The header's checksum as stored, and as computed over the rest of it. */
  stored: Sums;
  computed: Sums;
  /**
   * True if it has the magic number, its checksum is right, and it is of this log. 32 zero bytes pass their own checksum, and the header of another
   * log passes its own.
   */
  isValid: boolean;
}

/** A frame is a page as one transaction left it. Its bytes are valid until the next frame is read. */
export interface Frame {
  /** 1 for the first frame. */
  index: number;
  /** 0 in no frame that SQLite wrote. */
  pageNumber: number;
  salts: Sums;
  /** Pages of the database after the commit that this frame ends; 0 if it ends none. */
  commitPages: number;
  /** It has the salts of the log, so it is of this use of the file and not of an earlier one. */
  isCurrent: boolean;
  /** Its checksum follows from the frame before it, as that is stored or as it is computed. Salts are in no checksum. */
  chains: boolean;
  /** Its page number and commit mark lie with its checksum in one sector, so they were written together or not at all. */
  isHeaderWhole: boolean;
  page: Buffer;
  /** Whether it would chain if its page were this one. */
  chainsWith(page: Buffer): boolean;
}

export interface Wal {
  header: WalHeader;
  frames(): Generator<Frame>;
  close(): void;
}

const headerBytes = 32;
const frameHeaderBytes = 24;
/** The least that a disk writes whole. */
const sectorBytes = 512;
/** Magic number of a log; one more if words are summed with their high byte first. */
const magic = 0x377f0682;
const standardPageBytes = 4096;
/** Uses of a log between two that leave frames in it: nearly always 1. */
const mostUses = 65_536;
const readBytes = 1024 * 1024;

/** Opens a log to read. Undefined if there is none, or if it has no frame. `pageBytes` is the database's page size, if it has any page. */
export function openWal(path: string, pageBytes: number | undefined): Wal | undefined {
  const descriptor = openIfThere(path);
  if (descriptor === undefined) return undefined;
  const { size } = fstatSync(descriptor);
  const first = Buffer.alloc(headerBytes);
  readSync(descriptor, first, 0, headerBytes, 0);
  const read = headerOf(first, pageBytes);
  const count = Math.floor((size - headerBytes) / (frameHeaderBytes + read.pageBytes));
  if (count < 1) {
    closeSync(descriptor);
    return undefined;
  }
  const salts = saltsOfFrames(descriptor, read, count);
  const header = read.isValid && mayFollow(salts, read.salts) ? read : { ...read, salts, isValid: false };
  return {
    header,
    frames: () => frames(descriptor, header, count),
    close: () => closeSync(descriptor),
  };
}

/** Opens a file to read it. Undefined if there is none; any other error of the file system is thrown. */
export function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function headerOf(bytes: Buffer, pageBytes: number | undefined): WalHeader {
  const word = (at: number) => bytes.readUInt32BE(at);
  const stored: Sums = [word(24), word(28)];
  const computedIn = (isBigEndian: boolean) => summed(bytes.subarray(0, 24), isBigEndian, [0, 0]);
  const named = word(0) === magic + 1;
  const isValid = [magic, magic + 1].includes(word(0)) && isSame(computedIn(named), stored);
  // A damaged header may name the other order: then it is that of this machine, in which SQLite writes.
  const isBigEndian = isValid ? named : endianness() === "BE";
  return {
    pageBytes: pageBytes ?? (isPageSize(word(8)) ? word(8) : standardPageBytes), // a damaged header may have any
    isBigEndian,
    salts: [word(16), word(20)],
    stored,
    computed: computedIn(isBigEndian),
    isValid,
  };
}

export function isPageSize(bytes: number): boolean {
  return bytes >= 512 && bytes <= 65_536 && (bytes & (bytes - 1)) === 0;
}

/**
 * Returns the salts of the last use of a log, by its frames. Each use begins at the start of the file, over what is left of those
 * before it, with the next first salt: so they are those of the first frames that follow from each other, or of the first frame if that is newer.
 */
function saltsOfFrames(descriptor: number, header: WalHeader, count: number): Sums {
  let first: Sums | undefined;
  let before: Sums | undefined;
  for (const { pageNumber, salts, chains } of frames(descriptor, header, count)) {
    const mayBeOne = pageNumber > 0;
    if (mayBeOne && chains && before !== undefined && isSame(before, salts)) {
      return first !== undefined && first[0] === (salts[0] + 1) >>> 0 ? first : salts;
    }
    before = mayBeOne ? salts : undefined;
    first ??= before;
  }
  return first ?? header.salts;
}

/**
 * Whether a log whose first frames have the salts `frames` may have this header: of the same use, or of a later one, to which SQLite gives the
 * next first salt.
 */
function mayFollow(frames: Sums, header: Sums): boolean {
  const usesLater = (header[0] - frames[0]) >>> 0;
  return isSame(frames, header) || (usesLater > 0 && usesLater <= mostUses);
}

function* frames(descriptor: number, header: WalHeader, count: number): Generator<Frame> {
  const { isBigEndian, pageBytes } = header;
  const frameBytes = frameHeaderBytes + pageBytes;
  const perRead = Math.max(1, Math.floor(readBytes / frameBytes));
  const chunk = Buffer.allocUnsafe(perRead * frameBytes);
  let before = { stored: header.stored, computed: header.computed };
  for (let index = 1; index <= count; index += 1) {
    const offset = headerBytes + (index - 1) * frameBytes;
    const inChunk = (index - 1) % perRead;
    if (inChunk === 0) readSync(descriptor, chunk, 0, chunk.length, offset);
    const bytes = chunk.subarray(inChunk * frameBytes, (inChunk + 1) * frameBytes);
    const [head, page] = [bytes.subarray(0, frameHeaderBytes), bytes.subarray(frameHeaderBytes)];
    const stored: Sums = [head.readUInt32BE(16), head.readUInt32BE(20)];
    const seeds = isSame(before.stored, before.computed) ? [before.stored] : [before.stored, before.computed];
    const sumsWith = (other: Buffer) =>
      seeds.map((seed) => summed(other, isBigEndian, summed(head.subarray(0, 8), isBigEndian, seed)));
    const sums = sumsWith(page);
    const found = sums.find((each) => isSame(each, stored));
    const salts: Sums = [head.readUInt32BE(8), head.readUInt32BE(12)];
    yield {
      index,
      pageNumber: head.readUInt32BE(0),
      salts,
      commitPages: head.readUInt32BE(4),
      isCurrent: isSame(salts, header.salts),
      chains: found !== undefined,
      isHeaderWhole: (offset % sectorBytes) + frameHeaderBytes <= sectorBytes,
      page,
      chainsWith: (other) => sumsWith(other).some((each) => isSame(each, stored)),
    };
    before = { stored, computed: found ?? sums[0]! };
  }
}

/** The checksum of SQLite's log over whole pairs of words, begun with `seed`. */
function summed(bytes: Buffer, isBigEndian: boolean, seed: Sums): Sums {
  const isForeign = isBigEndian !== (endianness() === "BE");
  // A copy is aligned, and may be turned round.
  const aligned = isForeign || bytes.byteOffset % 4 !== 0 ? Buffer.from(Uint8Array.from(bytes).buffer) : bytes;
  if (isForeign) aligned.swap32();
  const words = new Uint32Array(aligned.buffer, aligned.byteOffset, aligned.length / 4);
  let [first, second] = seed;
  for (let at = 0; at < words.length; at += 2) {
    first = (first + words[at]! + second) >>> 0;
    second = (second + words[at + 1]! + first) >>> 0;
  }
  return [first, second];
}

function isSame(a: Sums, b: Sums): boolean {
  return a[0] === b[0] && a[1] === b[1];
}
