/** Logs that are filled through the store alone, with entries that are known by their index. */
import { leafHash } from "../../src/tlog/merkle.ts";
import type { LogHead, LogStore } from "../../src/store/log-store.ts";
import { entry, grown, newLog } from "./log-store-fixture.ts";

const entriesAGroup = 10_000;

/** A log of `size` entries, made in a few groups; `changes` are of the head it begins with. */
export async function filledLog(store: LogStore, size: number, changes: Partial<LogHead> = {}): Promise<LogHead> {
  const head = newLog(changes);
  await store.createLog(head);
  return grownLog(store, head, size);
}

export async function grownLog(store: LogStore, head: LogHead, size: number): Promise<LogHead> {
  let now = head;
  while (now.size < size) {
    const append = grown(now, Math.min(entriesAGroup, size - now.size));
    await store.appendLog(append);
    now = { ...now, ...append.next };
  }
  return now;
}

export function entryOf(index: number): Uint8Array {
  return new Uint8Array(Buffer.from(entry(index)));
}

/** Of the entries before `size`. */
export function leavesUpTo(size: number): Uint8Array[] {
  return Array.from({ length: size }, (_, index) => leafHash(entryOf(index)));
}
