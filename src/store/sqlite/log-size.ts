/** How large the write-ahead log of a SQLite file has become, and who keeps it from being emptied. No file of the store is opened for it. */
import { readFileSync, statSync } from "node:fs";
import type { StoreLog } from "../store.ts";
import { sizeOf } from "./file.ts";

const MiB = 2 ** 20;
/** Bytes of the file `-shm` that a reader locks while it reads the log. */
const [firstReadLock, lastReadLock] = [123, 127];

export function logOf(file: string, maxBytes: number): StoreLog {
  const bytes = () => sizeOf(`${file}-wal`);
  return {
    bytes,
    remark() {
      const size = bytes();
      if (size <= maxBytes) return undefined;
      const mebibytes = Math.round(size / MiB).toLocaleString("en");
      return `The log of the SQLite store has ${mebibytes} MiB: ${holdersOf(file)} reads what is older, and keeps it from being emptied.`;
    },
  };
}

/** Names the readers that Linux knows of now. */
function holdersOf(file: string): string {
  const pids = readersOf(file);
  if (pids.length === 0) return "another process, a backup or check perhaps,";
  return pids.map((pid) => `process ${pid}${nameOf(pid)}`).join(", ");
}

function readersOf(file: string): string[] {
  const inode = statSync(`${file}-shm`, { throwIfNoEntry: false })?.ino;
  const found = textOf("/proc/locks")
    .split("\n")
    .flatMap((line) => {
      const [, , , mode, pid, place = "", start] = line.trim().split(/\s+/);
      const isReader = mode === "READ" && Number(start) >= firstReadLock && Number(start) <= lastReadLock;
      return isReader && place.endsWith(`:${inode}`) && pid !== String(process.pid) ? [pid!] : [];
    });
  return [...new Set(found)];
}

function nameOf(pid: string): string {
  const name = textOf(`/proc/${pid}/comm`).trim();
  return /^[\w.:-]+$/.test(name) ? ` (${name})` : "";
}

/** Empty if there is no such file: elsewhere than on Linux, or for a process that has ended. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
