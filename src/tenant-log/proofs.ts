/**
 * Proofs from what is stored of a log. Its entries and hashes are authenticated by nothing but the root of its tree: so every proof is checked
 * before it is given out, as its reader will check it. What does not lead to the root is DATA_LOSS.
 */
import { KmsError } from "../errors.ts";
import { entryAt } from "../tlog/entry-bundle.ts";
import { hashBytes, leafHash, rootOf } from "../tlog/merkle.ts";
import { isConsistent, isIncluded, type TreeHead } from "../tlog/verify-proof.ts";
import { storedTree } from "../tlog/stored-tree.ts";
import { fullTile } from "../tlog/tiles.ts";
import type { LogName, LogStore } from "../store/log-store.ts";

/** Indices and sizes are those of the tree that the proofs are of, or of what it was when it was smaller. */
export interface CheckedProofs {
  /** An entry and its proof in the tree of a size. */
  inclusion(index: number, size: number): Promise<Inclusion>;
  /** That the tree of `size` goes on from the one of `from`, which is at least 1. */
  consistency(from: number, size: number): Promise<Consistency>;
  /** The leaf hash at an index of the tree. */
  leaf(index: number): Promise<Uint8Array>;
}

export interface Inclusion {
  tree: TreeHead;
  entry: Uint8Array;
  /** Hashes of 32 bytes, one behind the other, from the leaf up. */
  path: Uint8Array;
}

export interface Consistency {
  from: TreeHead;
  to: TreeHead;
  path: Uint8Array;
}

/** `log` is a log with a tree of its whose root is authentic. */
export function checkedProofs(
  store: Pick<LogStore, "logHashes" | "logEntries">,
  log: LogName & TreeHead,
): CheckedProofs {
  const stored = storedTree((level, tile) => store.logHashes(log, level, tile));

  async function treeAt(size: number): Promise<TreeHead> {
    if (size === log.size) return log;
    const [tree, path] = await Promise.all([stored.treeAt(size), stored.consistencyPath(size, log.size)]);
    const earlier = { size, root: rootOf(tree) };
    if (!isConsistent(earlier, log, path)) throw unproven(`the tree of ${size} entries`);
    return earlier;
  }

  async function pathOf(index: number, size: number): Promise<Uint8Array> {
    const [path] = await stored.inclusionPaths(index, 1, size);
    return path!;
  }

  function unproven(what: string): KmsError {
    const { tenantId, number } = log;
    return new KmsError("DATA_LOSS", `what is stored of log ${number} of tenant ${tenantId} does not prove ${what}`);
  }

  return {
    async inclusion(index, size) {
      const [tree, path, bundle] = await Promise.all([
        treeAt(size),
        pathOf(index, size),
        store.logEntries(log, Math.floor(index / fullTile)),
      ]);
      const entry = entryAt(bundle, index % fullTile);
      if (entry === undefined || !isIncluded({ leaf: leafHash(entry), index, path }, tree)) {
        throw unproven(`its entry ${index}`);
      }
      return { tree, entry, path };
    },

    async consistency(from, size) {
      const [earlier, later, path] = await Promise.all([
        treeAt(from),
        treeAt(size),
        stored.consistencyPath(from, size),
      ]);
      if (!isConsistent(earlier, later, path)) throw unproven(`the tree of ${from} entries`);
      return { from: earlier, to: later, path };
    },

    async leaf(index) {
      const [path, tile] = await Promise.all([
        pathOf(index, log.size),
        store.logHashes(log, 0, Math.floor(index / fullTile)),
      ]);
      const at = (index % fullTile) * hashBytes;
      const leaf = tile.slice(at, at + hashBytes);
      if (!isIncluded({ leaf, index, path }, log)) throw unproven(`its entry ${index}`);
      return leaf;
    },
  };
}
