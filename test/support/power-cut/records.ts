/** What a process did to files, as record-writes.c tells it. */
import { existsSync, readFileSync } from "node:fs";

export type WriteRecord =
  /** A file was opened under this path, and had this size. */
  | { kind: "named"; inode: bigint; size: number; path: string }
  | { kind: "folder"; inode: bigint; path: string }
  | { kind: "written"; inode: bigint; at: number; data: Buffer }
  | { kind: "resized"; inode: bigint; size: number }
  /** A sync of a file or a directory. */
  | { kind: "synced"; inode: bigint }
  | { kind: "renamed" | "linked"; from: string; to: string }
  | { kind: "removed"; path: string };

const kinds = ["", "named", "written", "resized", "synced", "renamed", "removed", "folder", "linked"] as const;
const headBytes = 21;

/** A record that a kill cut short is left out: nobody relied on what it tells of. */
export function readRecords(file: string): WriteRecord[] {
  if (!existsSync(file)) return [];
  const bytes = readFileSync(file);
  const records: WriteRecord[] = [];
  for (let at = 0; at + headBytes <= bytes.length; ) {
    const end = at + headBytes + bytes.readUInt32LE(at + 17);
    if (end > bytes.length) break;
    records.push(recordOf(bytes.subarray(at, at + headBytes), bytes.subarray(at + headBytes, end)));
    at = end;
  }
  return records;
}

function recordOf(head: Buffer, data: Buffer): WriteRecord {
  const kind = kinds[head[0]!];
  const inode = head.readBigUInt64LE(1);
  const number = Number(head.readBigUInt64LE(9));
  const text = () => data.toString();
  switch (kind) {
    case "named":
      return { kind, inode, size: number, path: text() };
    case "folder":
      return { kind, inode, path: text() };
    case "written":
      return { kind, inode, at: number, data };
    case "resized":
      return { kind, inode, size: number };
    case "synced":
      return { kind, inode };
    case "renamed":
    case "linked": {
      const [from, to] = text().split("\0");
      return { kind, from: from!, to: to! };
    }
    case "removed":
      return { kind, path: text() };
    default:
      throw new Error(`a record of kind ${head[0]}`);
  }
}
