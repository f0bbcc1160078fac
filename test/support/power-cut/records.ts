/** What a process did to files, as record-writes.c tells it, and where its driver heard what was durable. */
import { appendFileSync, readFileSync } from "node:fs";

export type WriteRecord =
  /** A file was opened under this path, and had this size. */
  | { kind: "named"; inode: bigint; size: number; path: string }
  | { kind: "folder"; inode: bigint; path: string }
  | { kind: "written"; inode: bigint; at: number; data: Buffer }
  | { kind: "resized"; inode: bigint; size: number }
  /** Of a directory, too. */
  | { kind: "synced"; inode: bigint }
  | { kind: "renamed"; from: string; to: string }
  | { kind: "removed"; path: string }
  /** The driver's own: what it was told before this. */
  | { kind: "mark"; text: string };

const kinds = ["", "named", "written", "resized", "synced", "renamed", "removed", "folder", "mark"] as const;
const headBytes = 21;

/** Notes among the records what the driver knows by now. */
export function mark(file: string, text: string): void {
  const data = Buffer.from(text);
  const head = Buffer.alloc(headBytes);
  head[0] = kinds.indexOf("mark");
  head.writeUInt32LE(data.length, 17);
  appendFileSync(file, Buffer.concat([head, data]));
}

export function readRecords(file: string): WriteRecord[] {
  const bytes = readFileSync(file);
  const records: WriteRecord[] = [];
  for (let at = 0; at + headBytes <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 17);
    const data = bytes.subarray(at + headBytes, at + headBytes + length);
    records.push(recordOf(bytes.subarray(at, at + headBytes), data));
    at += headBytes + length;
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
    case "renamed": {
      const [from, to] = text().split("\0");
      return { kind, from: from!, to: to! };
    }
    case "removed":
      return { kind, path: text() };
    case "mark":
      return { kind, text: text() };
    default:
      throw new Error(`a record of kind ${head[0]}`);
  }
}
