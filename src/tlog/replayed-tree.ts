/** A log's tree that grows leaf by leaf, as whoever has all its entries goes through them. merkle.ts grows one by many leaves at once. */
import { nodeHash, rootOf, type Tree } from "./merkle.ts";
import { hashesOf } from "./inclusion-proof.ts";
import { type Subtree, subtreesOf } from "./proof-ranges.ts";

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
      const theirs = subtreesOf({ start: 0, end: other.size });
      let [shared, difference]: [number, Difference | undefined] = [0, undefined];
      for (const [i, subtree] of subtreesOf({ start: 0, end: size }).entries()) {
        if (theirs[i]?.level !== subtree.level) break;
        shared += 2 ** subtree.level;
        const hash = others[i]!;
        if (Buffer.compare(hashes[i]!, hash) !== 0) difference ??= { ...subtree, hash };
      }
      return { shared, difference };
    },
  };
}
