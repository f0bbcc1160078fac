/**
 * A disk that keeps what was synced, and of all else what it likes: of each write any of its sectors, in any order, and of the names that a
 * folder got or lost since it was synced the first ones.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { WriteRecord } from "./records.ts";

const sectorBytes = 512;

type Write = Extract<WriteRecord, { kind: "written" | "resized" }>;
type Naming = { kind: "link"; path: string; inode: bigint } | { kind: "unlink"; path: string };

interface StoredFile {
  durable: Buffer;
  /** Not synced yet. */
  pending: Write[];
}

export interface Disk {
  apply(record: WriteRecord): void;
  /** Writes to `folder` what a power cut leaves now. `random` is in [0, 1). */
  cut(folder: string, random: () => number): void;
}

export function newDisk(): Disk {
  const files = new Map<bigint, StoredFile>();
  /** As processes see them, and as they are on the disk. */
  const names = new Map<string, bigint>();
  const durableNames = new Map<string, bigint>();
  let namings: Naming[] = [];
  const directories = new Map<bigint, string>();

  function name(path: string, inode: bigint): void {
    names.set(path, inode);
    namings.push({ kind: "link", path, inode });
  }

  function unname(path: string): void {
    names.delete(path);
    namings.push({ kind: "unlink", path });
  }

  function opened({ inode, path }: Extract<WriteRecord, { kind: "named" }>): void {
    if (names.get(path) === inode) return;
    // The number of a removed file is given to the next one.
    files.set(inode, { durable: Buffer.alloc(0), pending: [] });
    name(path, inode);
  }

  function synced(inode: bigint): void {
    const file = files.get(inode);
    if (file !== undefined) {
      file.durable = file.pending.reduce((bytes, write) => written(bytes, write, () => true), file.durable);
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
      else if (record.kind === "written" || record.kind === "resized") files.get(record.inode)?.pending.push(record);
      else if (record.kind === "synced") synced(record.inode);
      else if (record.kind === "removed") unname(record.path);
      else if (record.kind === "renamed") {
        const inode = names.get(record.from);
        if (inode === undefined) throw new Error(`${record.from} was renamed and never opened`);
        name(record.to, inode);
        unname(record.from);
      }
    },

    cut(folder, random) {
      mkdirSync(folder, { recursive: true });
      const left = new Map(durableNames);
      for (const each of namings.slice(0, Math.floor(random() * (namings.length + 1)))) settle(left, each);
      for (const [path, inode] of left) {
        const { durable, pending } = files.get(inode)!;
        const bytes = pending.reduce((before, write) => written(before, write, () => random() < 0.5), durable);
        writeFileSync(join(folder, basename(path)), bytes, { mode: 0o600 });
      }
    },
  };
}

function settle(names: Map<string, bigint>, naming: Naming): void {
  if (naming.kind === "link") names.set(naming.path, naming.inode);
  else names.delete(naming.path);
}

/** The bytes of a file after a write, of which the sectors are kept that `keeps` says. */
function written(bytes: Buffer, write: Write, keeps: () => boolean): Buffer {
  if (write.kind === "resized") {
    if (!keeps()) return bytes;
    return Buffer.concat([bytes, Buffer.alloc(Math.max(0, write.size - bytes.length))]).subarray(0, write.size);
  }
  const { at, data } = write;
  let next = bytes;
  for (let from = at; from < at + data.length; ) {
    const to = Math.min(at + data.length, from + sectorBytes - (from % sectorBytes));
    if (keeps()) {
      if (next === bytes || next.length < to) next = Buffer.concat([next, Buffer.alloc(Math.max(0, to - next.length))]);
      data.copy(next, from, from - at, to - at);
    }
    from = to;
  }
  return next;
}
