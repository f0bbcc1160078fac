/**
 * Recomputes a log from its entries: every leaf hash, every hash that is stored, and the root of its head. What follows from something that
 * was found already is not told again.
 */
import { emptyTree, growTree, hashBytes, leafHash, newNodes, rootOf, type Tree } from "../../tlog/merkle.ts";
import { fullTile, tileHeight } from "../../tlog/tiles.ts";
import type { StoredLog } from "../../store/offline/stored-logs.ts";
import { type StoredLevel, storedLevel } from "./stored-level.ts";

/** What is wrong from an entry on, and with how many. */
export type LogFinding = (entry: number, what: string, entries?: number) => void;

const lengthBytes = 2;
/** No log has hashes of more levels. */
const levels = [0, 1, 2, 3, 4, 5, 6];

/** More in one log than anyone reads are not told. */
const mostFindings = 100;

/** `progress` is told of every piece, with its entries. */
export async function checkLog(
  log: StoredLog,
  found: (what: string) => void,
  progress: (entries: number) => void,
): Promise<void> {
  const { head } = log;
  const wrong: number[] = [];
  const tell: LogFinding = (entry, what, entries = 0) => {
    if (wrong.some((each) => entry <= each && each < entry + entries)) return; // it follows from that
    wrong.push(entry);
    if (wrong.length <= mostFindings) found(what);
    if (wrong.length === mostFindings) found("and more is wrong behind that");
  };
  const stored = levels.map((level) => storedLevel(level, log.hashes(level), tell));
  const tree = await growFrom(log, stored, tell, progress);
  if (tree === undefined) return; // how the hashes go on is not known
  for (const level of stored) await level.end();
  const isHead = Buffer.compare(rootOf(tree), head.root) === 0 && Buffer.compare(tree.frontier, head.frontier) === 0;
  if (wrong.length === 0 && !isHead) tell(head.size, "the entries do not lead to the root of the head");
}

/** The tree that the entries lead to; undefined where they do not go as far as the head says, or further. */
async function growFrom(
  { head, entries }: StoredLog,
  stored: readonly StoredLevel[],
  tell: LogFinding,
  progress: (entries: number) => void,
): Promise<Tree | undefined> {
  let tree = emptyTree;
  for await (const { start, bundle } of entries()) {
    const leaves = bundle && leavesOf(bundle);
    if (start !== tree.size) {
      tell(tree.size, start > tree.size ? `entry ${tree.size} is missing` : `entry ${start} is not in its place`);
      return undefined;
    }
    if (leaves === undefined || (start % fullTile) + leaves.length / hashBytes > fullTile) {
      tell(start, `the entries from ${start} on are not in their form`);
      return undefined;
    }
    const growth = growTree(tree, leaves);
    tree = growth.after;
    if (tree.size > head.size) {
      tell(head.size, `there are entries from ${head.size} on, where the head ends: it was set back`);
      return undefined;
    }
    for (const [level, each] of stored.entries()) await each.compare(newNodes(growth, level * tileHeight).hashes);
    progress(leaves.length / hashBytes);
  }
  if (tree.size === head.size) return tree;
  tell(tree.size, `the entries from ${tree.size} on are missing, of ${head.size}`);
  return undefined;
}

/** Undefined where the bytes do not end with an entry. */
function leavesOf(entries: Uint8Array): Uint8Array | undefined {
  const leaves: Uint8Array[] = [];
  let at = 0;
  while (at + lengthBytes <= entries.length) {
    const start = at + lengthBytes;
    at = start + entries[at]! * 256 + entries[at + 1]!;
    leaves.push(leafHash(entries.subarray(start, at)));
  }
  return at === entries.length ? Buffer.concat(leaves) : undefined;
}
