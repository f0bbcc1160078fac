/** What a group of batches adds to a log, put together: entries, hashes and what is remembered, each from the place that it gets. */
import type { LogBatch } from "../batch/enter.ts";
import { type Growth, hashBytes, newNodes } from "../tlog/merkle.ts";
import type { LogAppend, LogHashes, LogHead, LogRequest } from "../store/log-store.ts";

/** A batch in a group. */
export interface Member {
  batch: LogBatch;
}

/** Levels of the tree from one hash that is stored to the next. */
const tileLevels = 8;

export function leavesOf(group: readonly Member[]): Uint8Array[] {
  return group.map(({ batch }) => batch.leaves);
}

/** The first index of each member, in their order. */
export function placesOf(group: readonly Member[], firstIndex: number): number[] {
  let next = firstIndex;
  return group.map(({ batch }) => {
    const place = next;
    next += entriesIn(batch);
    return place;
  });
}

export function appendOf(expect: LogHead, group: readonly Member[], growth: Growth, changedAt: Date): LogAppend {
  const places = placesOf(group, expect.size);
  return {
    expect,
    next: { ...growth.after, root: growth.root, changedAt },
    entries: group.map(({ batch }) => batch.entries),
    hashes: storedHashes(growth),
    requests: group.flatMap(({ batch }, at) => (batch.requestId === "" ? [] : [requestOf(batch, places[at]!)])),
  };
}

export function entriesIn({ leaves }: Pick<LogBatch, "leaves">): number {
  return leaves.length / hashBytes;
}

function requestOf(batch: LogBatch, firstIndex: number): LogRequest {
  const { requestId, digest, signedAtMs } = batch;
  return { requestId, digest, firstIndex, count: entriesIn(batch), signedAt: new Date(signedAtMs) };
}

function storedHashes(growth: Growth): LogHashes[] {
  const stored: LogHashes[] = [];
  for (let tileLevel = 0; ; tileLevel += 1) {
    const { start, hashes } = newNodes(growth, tileLevel * tileLevels);
    if (hashes.length === 0) return stored;
    stored.push({ tileLevel, start, hashes });
  }
}
