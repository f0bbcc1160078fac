/** Logs whose entries are known by their index, so that every log of a size is the same. */
import { createHash } from "node:crypto";
import { packRuns, singleEntry } from "../../src/tlog/entry-run.ts";
import { emptyTree, growTree, leafHash, newNodes, rootOf } from "../../src/tlog/merkle.ts";
import type { LogAppend, LogHead, LogName, LogRequest, LogStore } from "../../src/store/log-store.ts";

const tileWidth = 256;
const hashBytes = 32;
const tileLevels = [0, 1, 2];

export function newLog(changes: Partial<LogHead> = {}): LogHead {
  const tenantId = changes.tenantId ?? "acme";
  return {
    tenantId,
    number: 1,
    origin: `kms.example.com/${tenantId}`,
    size: 0,
    root: new Uint8Array(rootOf(emptyTree)),
    frontier: new Uint8Array(),
    state: "open",
    createdAt: new Date("2026-01-01T00:00:00.000Z"),
    changedAt: new Date("2026-01-01T00:00:00.000Z"),
    ...changes,
  };
}

export function entry(index: number): string {
  return `entry ${index} ${"x".repeat(index % 100)}`;
}

export function entriesFrom(from: number, to: number): Uint8Array {
  const all = Array.from({ length: to - from }, (_, index) => {
    const bytes = Buffer.from(entry(from + index));
    return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]);
  });
  return Buffer.concat(all);
}

/** The same as a group has them, each a run of its own: they are not of one form. */
export function runsFrom(from: number, to: number): Uint8Array {
  const entries = Array.from({ length: to - from }, (_, index) => Buffer.from(entry(from + index)));
  return packRuns(entries.map(singleEntry));
}

/** What appends `count` entries to a log. */
export function grown(expect: LogHead, count: number, requests: readonly LogRequest[] = []): LogAppend {
  const { size, frontier } = expect;
  const leaves = Array.from({ length: count }, (_, index) => leafHash(Buffer.from(entry(size + index))));
  const growth = growTree({ size, frontier }, Buffer.concat(leaves));
  const hashes = tileLevels.flatMap((tileLevel) => {
    const nodes = newNodes(growth, 8 * tileLevel);
    return nodes.hashes.length === 0 ? [] : [{ tileLevel, start: nodes.start, hashes: new Uint8Array(nodes.hashes) }];
  });
  const { root, after } = growth;
  const next = {
    size: after.size,
    root: new Uint8Array(root),
    frontier: new Uint8Array(after.frontier),
    changedAt: new Date(expect.changedAt.getTime() + 1),
  };
  // As of two batches, the first of one entry.
  const entries = count === 0 ? [] : [runsFrom(size, size + 1), runsFrom(size + 1, size + count)];
  return { expect, next, entries, hashes, requests };
}

/** All hashes of a log of `size` entries, by level and then by tile. */
export function tilesOf(size: number): string[][] {
  const leaves = Array.from({ length: size }, (_, index) => leafHash(Buffer.from(entry(index))));
  const growth = growTree(emptyTree, Buffer.concat(leaves));
  return tileLevels.map((level) => hex(newNodes(growth, 8 * level).hashes));
}

/** What the store says that a log of at most `size` entries is made of. */
export async function contentOf(store: LogStore, log: LogName, size: number) {
  const bundles = Array.from({ length: Math.ceil(size / tileWidth) }, (_, bundle) => store.logEntries(log, bundle));
  const entries = (await Promise.all(bundles)).flatMap(unpacked);
  const levels = tileLevels.map(async (level) => {
    const tiles = Math.ceil(size / tileWidth ** (level + 1));
    const found = Array.from({ length: tiles }, (_, tile) => store.logHashes(log, level, tile));
    return (await Promise.all(found)).flatMap(hex);
  });
  return { entries, tiles: await Promise.all(levels) };
}

function unpacked(bundle: Uint8Array): string[] {
  const bytes = Buffer.from(bundle);
  const found: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt16BE(at);
    found.push(bytes.toString("utf8", at + 2, at + 2 + length));
    at += 2 + length;
  }
  return found;
}

function hex(hashes: Uint8Array): string[] {
  return Array.from({ length: hashes.length / hashBytes }, (_, index) =>
    Buffer.from(hashes.subarray(index * hashBytes, (index + 1) * hashBytes)).toString("hex"),
  );
}

export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
