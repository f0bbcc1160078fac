/** A log's tree that grows leaf by leaf, as whoever has all its entries goes through them. merkle.ts grows one by many leaves at once. */
import { nodeHash, rootOf, type Tree } from "./merkle.ts";
import { hashesOf } from "./inclusion-proof.ts";
import { type Subtree, subtreesOf } from "./proof-ranges.ts";

export interface GrowingTree {
  size(): number;
  root(): Uint8Array;
  add(leaf: Uint8Array): void;
  /** The first subtree that the other tree, of the same size, has with another hash, and that hash; undefined where they are the same. */
  differenceFrom(other: Tree): Difference | undefined;
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

    differenceFrom({ frontier }) {
      const others = hashesOf(frontier);
      const at = hashes.findIndex((hash, i) => Buffer.compare(hash, others[i]!) !== 0);
      return at < 0 ? undefined : { ...subtreesOf({ start: 0, end: size })[at]!, hash: others[at]! };
    },
  };
}
