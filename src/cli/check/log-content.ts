/**
 * Recomputes a log from its entries: every leaf hash, every hash that is stored, and the root of its head. What follows from something that
 * was found already is not told again.
 */
import { emptyTree, growTree, hashBytes, leafHash, newNodes, rootOf, type Tree } from "../../tlog/merkle.ts";
import { fullTile, tileHeight } from "../../tlog/tiles.ts";
import type { StoredLog, StoredChunk } from "../../store/offline/stored-logs.ts";

/** What is wrong from an entry on, and with how many. */
type LogFinding = (entry: number, what: string, entries?: number) => void;

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

/** The stored hashes of a level of tiles, beside those that the entries lead to: both come in order, in pieces of any length. */
interface StoredLevel {
  /** The next hashes must be these. */
  compare(expected: Uint8Array): Promise<void>;
  /** There must be no more. */
  end(): Promise<void>;
}

function storedLevel(level: number, pieces: AsyncGenerator<StoredChunk>, tell: LogFinding): StoredLevel {
  /** Of the next hash, at this level. */
  let index = 0;
  const width = fullTile ** level;
  let rest: Uint8Array = new Uint8Array();
  let isLost = false;

  async function more(): Promise<boolean> {
    const { value: piece, done } = await pieces.next();
    if (done) return false;
    const { start, data } = piece;
    const isInPlace = start === index && data.length % hashBytes === 0;
    if (isInPlace && (start % fullTile) + data.length / hashBytes <= fullTile) rest = data;
    return rest.length > 0;
  }

  function compareNext(expected: Uint8Array): void {
    for (let at = 0; at < expected.length; at += hashBytes, index += 1) {
      const [one, other] = [rest, expected].map((hashes) => hashes.subarray(at, at + hashBytes));
      if (Buffer.compare(one!, other!) !== 0) tell(index * width, differs(level, index), width);
    }
    rest = rest.subarray(expected.length);
  }

  return {
    async compare(expected) {
      for (let at = 0; at < expected.length && !isLost; ) {
        if (rest.length === 0 && !(await more())) {
          isLost = true;
          tell(index * width, `hash ${index} of level ${level} is missing`);
          return;
        }
        const length = Math.min(rest.length, expected.length - at);
        compareNext(expected.subarray(at, at + length));
        at += length;
      }
    },
    async end() {
      const isOver = rest.length === 0 && (await pieces.next()).done;
      if (!isLost && !isOver)
        tell(index * width, `there are hashes of level ${level} from ${index} on, where the log ends`);
    },
  };
}

function differs(level: number, index: number): string {
  if (level === 0) return `entry ${index} or its hash was altered`;
  return `hash ${index} of level ${level} is not that of the entries below it`;
}
