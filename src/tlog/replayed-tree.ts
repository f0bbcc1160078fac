/** A log's tree that grows leaf by leaf, as whoever has all its entries goes through them. merkle.ts grows one by many leaves at once. */
import { nodeHash, rootOf, type Tree } from "./merkle.ts";
import { hashesOf } from "./inclusion-proof.ts";
import { rangeOf, type Subtree, subtreesOf } from "./proof-ranges.ts";

export interface GrowingTree {
  size(): number;
  root(): Uint8Array;
  add(leaf: Uint8Array): void;
  /** Compares the complete subtrees that this tree and another, of this size or a larger one, have in common. */
  compare(other: Tree): Comparison;
}

export interface Comparison {
  /** How many leaves, from the first on, lie in subtrees of both. All of them where the trees have one size. */
  shared: number;
  /** The first subtree that the other tree has with another hash; undefined where they are the same. */
  difference: Difference | undefined;
}

export interface Difference extends Subtree {
  hash: Uint8Array;
}

export function growingTree(from: Tree): GrowingTree {
  let { size } = from;
  /** The frontier. */
  const hashes = hashesOf(from.frontier);
  return {
    size: () => size,
    root: () => rootOf({ size, frontier: Buffer.concat(hashes) }),

    add(leaf) {
      let hash = leaf;
      for (let rest = size; rest % 2 === 1; rest = Math.floor(rest / 2)) hash = nodeHash(hashes.pop()!, hash);
      hashes.push(hash);
      size += 1;
    },

    compare(other) {
      const others = hashesOf(other.frontier);
      // Nearly all are of one size: the tree before an entry, and the entries that came before it.
      const shared = other.size === size ? size : sharedLeaves(size, other.size);
      const at = hashes.findIndex((hash, i) => Buffer.compare(hash, others[i] ?? hash) !== 0);
      const subtree = at < 0 ? undefined : subtreesOf({ start: 0, end: size })[at]!;
      const isShared = subtree !== undefined && rangeOf(subtree).end <= shared;
      return { shared, difference: isShared ? { ...subtree, hash: others[at]! } : undefined };
    },
  };
}

/** How many leaves lie in the complete subtrees that trees of both sizes have. */
function sharedLeaves(size: number, other: number): number {
  const [ours, theirs] = [size, other].map((end) => subtreesOf({ start: 0, end }));
  const first = ours!.find(({ level }, i) => level !== theirs![i]?.level);
  return first === undefined ? size : rangeOf(first).start;
}
