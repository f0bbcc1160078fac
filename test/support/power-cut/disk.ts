/**
 * A disk that keeps what was synced, and of all else what it likes: of each write any of its sectors, in any order, and of the names that a
 * folder got or lost since it was synced the first ones.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { WriteRecord } from "./records.ts";

const sectorBytes = 512;

type Write = Extract<WriteRecord, { kind: "written" | "resized" }>;
type Naming = { kind: "link"; path: string; inode: bigint } | { kind: "unlink"; path: string };

interface StoredFile {
  durable: Content;
  /** Not synced yet. */
  pending: Write[];
  /** Size that processes see. */
  size: number;
}

export interface Disk {
  apply(record: WriteRecord): void;
  /** Writes to `folder`, which is empty, what a power cut leaves now. `random` is in [0, 1). Gives how many writes were not synced. */
  cut(folder: string, random: () => number): { unsynced: number };
}

/** A disk with the files of `folder`, all of which are synced. */
export function newDisk(folder: string): Disk {
  const files = new Map<bigint, StoredFile>();
  /** Names that processes see, and names that are on the disk. */
  const names = new Map<string, bigint>();
  const durableNames = new Map<string, bigint>();
  let namings: Naming[] = [];
  const directories = new Map<bigint, string>();

  for (const path of readdirSync(folder).map((each) => join(folder, each))) {
    const { ino } = statSync(path, { bigint: true });
    const bytes = readFileSync(path);
    files.set(ino, { durable: contentOf(bytes), pending: [], size: bytes.length });
    names.set(path, ino);
    durableNames.set(path, ino);
  }

  function name(path: string, inode: bigint): void {
    names.set(path, inode);
    namings.push({ kind: "link", path, inode });
  }

  function unname(path: string): void {
    names.delete(path);
    namings.push({ kind: "unlink", path });
  }

  function inodeOf(path: string): bigint {
    const inode = names.get(path);
    if (inode === undefined) throw new Error(`${path} was named anew and never opened`);
    return inode;
  }

  function opened({ inode, path, size }: Extract<WriteRecord, { kind: "named" }>): void {
    if (names.get(path) !== inode) {
      // The number of a removed file is given to the next one.
      files.set(inode, { durable: contentOf(Buffer.alloc(0)), pending: [], size: 0 });
      name(path, inode);
    } else if (size < files.get(inode)!.size) written({ kind: "resized", inode, size }); // emptied as it was opened
  }

  function written(write: Write): void {
    const file = files.get(write.inode);
    if (file === undefined) return;
    file.pending.push(write);
    file.size = write.kind === "resized" ? write.size : Math.max(file.size, write.at + write.data.length);
  }

  function synced(inode: bigint): void {
    const file = files.get(inode);
    if (file !== undefined) {
      for (const write of file.pending) addTo(file.durable, write, () => true);
      file.pending = [];
    }
    const directory = directories.get(inode);
    if (directory === undefined) return;
    for (const each of namings.filter(({ path }) => dirname(path) === directory)) settle(durableNames, each);
    namings = namings.filter(({ path }) => dirname(path) !== directory);
  }

  return {
    apply(record) {
      if (record.kind === "folder") directories.set(record.inode, record.path);
      else if (record.kind === "named") opened(record);
      else if (record.kind === "written" || record.kind === "resized") written(record);
      else if (record.kind === "synced") synced(record.inode);
      else if (record.kind === "removed") unname(record.path);
      else {
        name(record.to, inodeOf(record.from));
        if (record.kind === "renamed") unname(record.from);
      }
    },

    cut(into, random) {
      const left = new Map(durableNames);
      for (const each of namings.slice(0, Math.floor(random() * (namings.length + 1)))) settle(left, each);
      let unsynced = 0;
      for (const [path, inode] of left) {
        const { durable, pending } = files.get(inode)!;
        const content = contentOf(bytesOf(durable));
        unsynced += pending.length;
        for (const write of pending) addTo(content, write, () => random() < 0.5);
        writeFileSync(join(into, basename(path)), bytesOf(content), { mode: 0o600 });
      }
      return { unsynced };
    },
  };
}

function settle(names: Map<string, bigint>, naming: Naming): void {
  if (naming.kind === "link") names.set(naming.path, naming.inode);
  else names.delete(naming.path);
}

/** The first `length` bytes of a buffer that grows; what is behind them is zero. */
interface Content {
  buffer: Buffer;
  length: number;
}

function contentOf(bytes: Buffer): Content {
  return { buffer: Buffer.from(bytes), length: bytes.length };
}

function bytesOf({ buffer, length }: Content): Buffer {
  return buffer.subarray(0, length);
}

/** Does a write, of which the sectors are kept that `keeps` says. */
function addTo(content: Content, write: Write, keeps: () => boolean): void {
  if (write.kind === "resized") {
    if (!keeps()) return;
    content.buffer.fill(0, write.size);
    resize(content, write.size);
    return;
  }
  const { at, data } = write;
  for (let from = at; from < at + data.length; ) {
    const to = Math.min(at + data.length, from + sectorBytes - (from % sectorBytes));
    if (keeps()) {
      resize(content, Math.max(content.length, to));
      data.copy(content.buffer, from, from - at, to - at);
    }
    from = to;
  }
}

function resize(content: Content, length: number): void {
  if (length > content.buffer.length) {
    content.buffer = Buffer.concat([content.buffer, Buffer.alloc(length * 2 - content.buffer.length)]);
  }
  content.length = length;
}
