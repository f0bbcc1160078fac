/** The Merkle tree of a log: RFC 6962, 2.1, by SHA-256. Sizes are safe integers, and may have more bits than operators on bits take. */
import { concat, isSame } from "./bytes.ts";
import type { Crypto } from "./crypto.ts";

export interface TreeHead {
  size: number;
  /** 32 bytes. */
  root: Uint8Array;
}

/** A leaf by its hash, and what is said of its place. */
export interface Inclusion {
  leaf: Uint8Array;
  index: number;
  /** Hashes of 32 bytes, from the leaf up. */
  path: readonly Uint8Array[];
}

/** A tree by the hashes of the complete subtrees that it is made of, widest first: one for each bit of its size. */
export interface Tree {
  size: number;
  subtrees: readonly Uint8Array[];
}

export function leafHash(entry: Uint8Array, { sha256 }: Crypto): Promise<Uint8Array> {
  return sha256(concat([Uint8Array.of(0), entry]));
}

function nodeHash(left: Uint8Array, right: Uint8Array, { sha256 }: Crypto): Promise<Uint8Array> {
  return sha256(concat([Uint8Array.of(1), left, right]));
}

/** A node on the way from a leaf to the root, and the sibling of the node below it. */
export interface PathNode {
  hash: Uint8Array;
  sibling: Uint8Array;
  isSiblingLeft: boolean;
}

/** Hashes a node over two of a level. */
export type NodeHashing = (left: Uint8Array, right: Uint8Array, level: number) => Promise<Uint8Array>;

/**
 * Remembers the last node of each level. Neighbours in a log share all but two nodes of their paths, on average: 100,000 spans in order, with 17
 * nodes above each, take 307,000 hashes in place of 1,900,000, those of spans and entries counted.
 */
export function rememberNodes(crypto: Crypto): NodeHashing {
  const last: { left: Uint8Array; right: Uint8Array; hash: Promise<Uint8Array> }[] = [];
  return (left, right, level) => {
    const known = last[level];
    if (known !== undefined && isSame(known.left, left) && isSame(known.right, right)) return known.hash;
    const hash = nodeHash(left, right, crypto);
    last[level] = { left, right, hash };
    return hash;
  };
}

/** The nodes above a leaf, the root last: RFC 9162, 2.1.3.2. Undefined where a leaf at this index of a tree of `size` has another path. */
export async function pathNodes(
  { leaf, index, path }: Inclusion,
  size: number,
  hashing: NodeHashing,
): Promise<PathNode[] | undefined> {
  if (index >= size) return undefined;
  const isLeft = sidesOf(index, size);
  if (path.length !== isLeft.length) return undefined;
  const nodes: PathNode[] = [];
  let hash = leaf;
  for (const [i, sibling] of path.entries()) {
    const isSiblingLeft = isLeft[i]!;
    hash = await (isSiblingLeft ? hashing(sibling, hash, i) : hashing(hash, sibling, i));
    nodes.push({ hash, sibling, isSiblingLeft });
  }
  return nodes;
}

/** Whether the leaf is in the tree at its index. */
export async function isIncluded(
  inclusion: Inclusion,
  { size, root }: TreeHead,
  crypto: Crypto,
  hashing: NodeHashing = (left, right) => nodeHash(left, right, crypto),
): Promise<boolean> {
  const nodes = await pathNodes(inclusion, size, hashing);
  return nodes !== undefined && isSame(nodes.at(-1)?.hash ?? inclusion.leaf, root);
}

/** The tree of all leaves before one, from its path in a tree of `size`, which has to hold: the siblings on the left. */
export function treeBefore({ index, path }: Inclusion, size: number): Tree {
  const isLeft = sidesOf(index, size);
  return { size: index, subtrees: path.filter((_, i) => isLeft[i]).reverse() };
}

/** The hash of the complete subtree of 2^level leaves that the leaf is in, from its path in a tree that has that, which has to hold. */
export async function subtreeHash(
  { leaf, index, path }: Inclusion,
  level: number,
  crypto: Crypto,
): Promise<Uint8Array> {
  let hash = leaf;
  for (const [i, sibling] of path.slice(0, level).entries()) {
    const isLeft = Math.floor(index / 2 ** i) % 2 === 1;
    hash = isLeft ? await nodeHash(sibling, hash, crypto) : await nodeHash(hash, sibling, crypto);
  }
  return hash;
}

/** Tells of each sibling on the path of a leaf whether it is on the left. */
function sidesOf(index: number, size: number): boolean[] {
  const isLeft: boolean[] = [];
  // Both count nodes of a level. The last one may have no sibling there, and is then that of the next level.
  for (let [node, last] = [index, size - 1]; last > 0; [node, last] = [Math.floor(node / 2), Math.floor(last / 2)])
    if (node % 2 === 1 || node < last) isLeft.push(node % 2 === 1);
  return isLeft;
}

/** The complete subtree of 2^level leaves from `start` to before `end`. */
export interface Subtree {
  start: number;
  end: number;
  level: number;
  hash: Uint8Array;
}

export interface GrowingTree {
  size(): number;
  root(): Promise<Uint8Array>;
  add(leaf: Uint8Array): Promise<void>;
  /**
   * Compares the complete subtrees that this tree and another, of this size or a larger one, have in common: how many leaves lie in those,
   * and the first of them that the other tree has with another hash.
   */
  compare(other: Tree): { shared: number; difference: Subtree | undefined };
}

export function growingTree(from: Tree, crypto: Crypto): GrowingTree {
  let { size } = from;
  const subtrees = [...from.subtrees];
  return {
    size: () => size,

    async root() {
      let root = subtrees.at(-1) ?? (await crypto.sha256(new Uint8Array()));
      for (const left of subtrees.slice(0, -1).reverse()) root = await nodeHash(left, root, crypto);
      return root;
    },

    async add(leaf) {
      let hash = leaf;
      for (let rest = size; rest % 2 === 1; rest = Math.floor(rest / 2))
        hash = await nodeHash(subtrees.pop()!, hash, crypto);
      subtrees.push(hash);
      size += 1;
    },

    compare(other) {
      let [start, difference]: [number, Subtree | undefined] = [0, undefined];
      for (const [i, hash] of subtrees.entries()) {
        const level = levelOf(size - start);
        if (other.size !== size && level !== levelOf(other.size - start)) break;
        const end = start + 2 ** level;
        const theirs = other.subtrees[i]!;
        if (!isSame(hash, theirs)) difference ??= { start, end, level, hash: theirs };
        start = end;
      }
      return { shared: start, difference };
    },
  };
}

/** The level of the widest complete subtree in so many leaves. */
function levelOf(leaves: number): number {
  let level = 0;
  while (2 ** (level + 1) <= leaves) level += 1;
  return level;
}
