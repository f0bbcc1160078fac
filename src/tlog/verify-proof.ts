/**
 * Verifies proofs of a log's Merkle tree, as RFC 9162, 2.1.3.2 and 2.1.4.2 do. A path has hashes of 32 bytes, one behind the other, and
 * must have just those that it needs. Sizes are safe integers, and may have more bits than JavaScript's operators on bits take.
 */
import { emptyRoot, hashBytes, nodeHash, type Tree } from "./merkle.ts";

/** The head of a tree. */
export interface TreeHead {
  size: number;
  /** 32 bytes. */
  root: Uint8Array;
}

/** A leaf, by its leaf hash, and what is said of its place. */
export interface Inclusion {
  leaf: Uint8Array;
  index: number;
  /** From the leaf up. */
  path: Uint8Array;
}

export function isIncluded({ leaf, index, path }: Inclusion, tree: TreeHead): boolean {
  if (!isIndex(index) || !isIndex(tree.size) || index >= tree.size || path.length % hashBytes !== 0) return false;
  const climb = climbFrom(index, tree.size);
  let root = leaf;
  for (let at = 0; at < path.length; at += hashBytes) {
    if (climb.isAtRoot()) return false;
    const hash = path.subarray(at, at + hashBytes);
    root = climb.siblingIsLeft() ? nodeHash(hash, root) : nodeHash(root, hash);
  }
  return climb.isAtRoot() && isSame(root, tree.root);
}

/** The tree of the leaves before one, by that one's proof in a tree of `size`, which has to hold: its siblings on the left. */
export function treeBefore({ index, path }: Pick<Inclusion, "index" | "path">, size: number): Tree {
  const climb = climbFrom(index, size);
  const hashes: Uint8Array[] = [];
  for (let at = 0; at < path.length; at += hashBytes) {
    if (climb.siblingIsLeft()) hashes.unshift(path.subarray(at, at + hashBytes));
  }
  return { size: index, frontier: Buffer.concat(hashes) };
}

/** The hash of the complete subtree of a level that the leaf is in, by its proof in a tree that has that subtree, which has to hold. */
export function subtreeHash({ leaf, index, path }: Inclusion, level: number): Uint8Array {
  let [hash, node] = [leaf, index];
  for (let at = 0; at < level * hashBytes; at += hashBytes, node = Math.floor(node / 2)) {
    const sibling = path.subarray(at, at + hashBytes);
    hash = node % 2 === 1 ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
  }
  return hash;
}

/** Whether the tree `to` is the tree `from` with further leaves, or none. Every tree goes on from the empty one, by an empty path. */
export function isConsistent(from: TreeHead, to: TreeHead, path: Uint8Array): boolean {
  if (!isIndex(from.size) || !isIndex(to.size) || from.size > to.size || path.length % hashBytes !== 0) return false;
  if (from.size === 0) return path.length === 0 && isSame(from.root, emptyRoot);
  if (from.size === to.size) return path.length === 0 && isSame(from.root, to.root);
  const climb = climbFrom(from.size - 1, to.size);
  climb.toCompleteSubtree();
  // The path begins with the subtree that ends the earlier tree; where that is the whole of it, it goes without saying.
  const isWhole = climb.isLeftmost();
  let older = isWhole ? from.root : path.subarray(0, hashBytes);
  let newer = older;
  if (older.length !== hashBytes) return false;
  for (let at = isWhole ? 0 : hashBytes; at < path.length; at += hashBytes) {
    if (climb.isAtRoot()) return false;
    const hash = path.subarray(at, at + hashBytes);
    const isLeft = climb.siblingIsLeft();
    if (isLeft) older = nodeHash(hash, older);
    newer = isLeft ? nodeHash(hash, newer) : nodeHash(newer, hash);
  }
  return climb.isAtRoot() && isSame(older, from.root) && isSame(newer, to.root);
}

/** The way from a leaf to the root: `node` counts at its level, `last` is the last node there. */
function climbFrom(index: number, size: number) {
  let node = index;
  let last = size - 1;
  const up = () => {
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  };
  return {
    isAtRoot: () => last === 0,
    isLeftmost: () => node === 0,

    /** Up for as long as the node is the right one of its pair: it ends the subtree above it. */
    toCompleteSubtree() {
      while (node % 2 === 1) up();
    },

    /** Goes up past one sibling, and says on which side it was. The last node of a level may have none, and is then that of the next. */
    siblingIsLeft(): boolean {
      const isLeft = node % 2 === 1 || node === last;
      if (isLeft) while (node % 2 === 0 && node !== 0) up();
      up();
      return isLeft;
    },
  };
}

function isIndex(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
