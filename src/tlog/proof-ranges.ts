/**
 * What the proofs of RFC 6962 are made of: ranges of leaves, of which a proof has the hashes. They are written for any `hashOf`, so that the
 * same code tells which hashes it will take and then takes them. A path is hashes of 32 bytes, one behind the other.
 */

/** Of the leaves from `start` until before `end`, at least one. */
export interface Range {
  start: number;
  end: number;
}

/** A subtree of 2^level leaves, all of them there. */
export interface Subtree {
  level: number;
  /** Counts the subtrees of its level. */
  index: number;
}

export type HashOf = (range: Range) => Uint8Array;

/** PATH (2.1.1) of each leaf of `leaves` in a tree of `tree`, from the leaf up. */
export function inclusionPaths(leaves: Range, tree: Range, hashOf: HashOf, above: Uint8Array = none): Uint8Array[] {
  if (tree.end - tree.start === 1) return [above];
  const [left, right] = halvesOf(tree);
  return [
    { half: left, sibling: right },
    { half: right, sibling: left },
  ]
    .filter(({ half }) => half.start < leaves.end && leaves.start < half.end)
    .flatMap(({ half, sibling }) => inclusionPaths(leaves, half, hashOf, Buffer.concat([hashOf(sibling), above])));
}

/** PROOF (2.1.2) that a tree of `size` leaves goes on from the one that its first `from` leaves were. */
export function consistencyPath(from: number, size: number, hashOf: HashOf): Uint8Array {
  const hashes: Uint8Array[] = [];
  let range = { start: 0, end: size };
  while (from < range.end) {
    const [left, right] = halvesOf(range);
    hashes.unshift(hashOf(from <= left.end ? right : left));
    range = from <= left.end ? left : right;
  }
  // One that begins at the first leaf is the earlier tree, whose root is known.
  if (range.start > 0) hashes.unshift(hashOf(range));
  return Buffer.concat(hashes);
}

/** The complete subtrees of a range that is a tree's or a node's, widest first, as they lie. */
export function subtreesOf({ start, end }: Range): Subtree[] {
  const subtrees: Subtree[] = [];
  for (let at = start; at < end; ) {
    const level = levelOf(end - at);
    subtrees.push({ level, index: at / 2 ** level });
    at += 2 ** level;
  }
  return subtrees;
}

export function rangeOf({ level, index }: Subtree): Range {
  return { start: index * 2 ** level, end: (index + 1) * 2 ** level };
}

/** The left half has the largest power of two of leaves that leaves one over (2.1). */
function halvesOf({ start, end }: Range): [left: Range, right: Range] {
  const middle = start + 2 ** levelOf(end - start - 1);
  return [
    { start, end: middle },
    { start: middle, end },
  ];
}

/** Of the widest complete subtree in so many leaves. A logarithm would round: sizes go up to 2^53. */
function levelOf(leaves: number): number {
  let level = 0;
  while (2 ** (level + 1) <= leaves) level += 1;
  return level;
}

const none: Uint8Array = Buffer.alloc(0);
