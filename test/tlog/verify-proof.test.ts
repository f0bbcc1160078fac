/** Every proof of every small tree verifies, and no altered one does. */
import { describe, expect, it } from "vitest";
import { emptyRoot, emptyTree, growTree, leafHash } from "../../src/tlog/merkle.ts";
import { isConsistent, isIncluded, treeBefore } from "../../src/tlog/verify-proof.ts";
import { path, proof, treeHash } from "../support/rfc6962.ts";

const leaves = Array.from({ length: 33 }, (_, index) => leafHash(Buffer.from(`entry ${index}`)));
const head = (size: number) => ({ size, root: size === 0 ? emptyRoot : treeHash(leaves.slice(0, size)) });
const other = leafHash(Buffer.from("other"));

/** Each is the path with one thing wrong: a hash changed, missing, doubled, swapped, half of one, one more. */
function altered(hashes: readonly Uint8Array[]): Uint8Array[] {
  const changes = hashes.flatMap((_, i) => [
    hashes.with(i, other),
    hashes.toSpliced(i, 1),
    hashes.toSpliced(i, 0, hashes[i]!),
    ...(i > 0 ? [hashes.with(i, hashes[i - 1]!).with(i - 1, hashes[i]!)] : []),
  ]);
  const whole = Buffer.concat(hashes);
  return [
    ...changes.map((each) => Buffer.concat(each)),
    Buffer.concat([whole, other]),
    Buffer.concat([whole, Buffer.alloc(31)]),
  ];
}

describe("an inclusion proof", () => {
  const every = Array.from({ length: 33 }, (_, n) => n + 1).flatMap((size) =>
    Array.from({ length: size }, (_, index) => ({ size, index, hashes: path(index, leaves.slice(0, size)) })),
  );

  it("holds for every leaf of every tree", () => {
    for (const { size, index, hashes } of every) {
      expect(isIncluded({ leaf: leaves[index]!, index, path: Buffer.concat(hashes) }, head(size))).toBe(true);
    }
  });

  it("does not hold for another leaf, another root, or with any other hash on the path", () => {
    for (const { size, index, hashes } of every) {
      const holds = (about: object, tree = {}) =>
        isIncluded({ leaf: leaves[index]!, index, path: Buffer.concat(hashes), ...about }, { ...head(size), ...tree });
      expect(holds({ leaf: other })).toBe(false);
      expect(holds({}, { root: other })).toBe(false);
      expect(altered(hashes).filter((path) => holds({ path }))).toEqual([]);
    }
  });

  it("does not hold at another index or beyond the tree", () => {
    for (const { size, index, hashes } of every) {
      const path = Buffer.concat(hashes);
      const tree = head(size);
      const indices = [...Array.from({ length: size + 2 }, (_, i) => i), -1, 0.5, Number.NaN, 2 ** 53];
      expect(indices.filter((i) => isIncluded({ leaf: leaves[index]!, index: i, path }, tree))).toEqual([index]);
    }
  });

  it("has the tree of the leaves before in it", () => {
    for (const { size, index, hashes } of every) {
      const { after } = growTree(emptyTree, Buffer.concat(leaves.slice(0, index)));
      expect(treeBefore({ index, path: Buffer.concat(hashes) }, size)).toEqual(after);
    }
  });

  it("is as strict where sizes have more than 32 bits", () => {
    const index = 2 ** 40 + 5;
    const tree = { size: 2 ** 52, root: other };
    const long = Buffer.concat(Array.from({ length: 52 }, () => other));
    expect(isIncluded({ leaf: other, index, path: long }, tree)).toBe(false);
    // Taken as 32 bits, the size would be that of a tree of one leaf.
    expect(
      isIncluded({ leaf: other, index: 2 ** 32, path: new Uint8Array() }, { size: 2 ** 32 + 1, root: other }),
    ).toBe(false);
  });
});

describe("a consistency proof", () => {
  const every = Array.from({ length: 33 }, (_, n) => n + 1).flatMap((size) =>
    Array.from({ length: size }, (_, m) => ({ from: m + 1, to: size, hashes: proof(m + 1, leaves.slice(0, size)) })),
  );

  it("holds from every tree to every later one", () => {
    for (const { from, to, hashes } of every) {
      expect(isConsistent(head(from), head(to), Buffer.concat(hashes))).toBe(true);
    }
  });

  it("does not hold from or to another tree, or with any other hash in it", () => {
    for (const { from, to, hashes } of every) {
      const path = Buffer.concat(hashes);
      expect(isConsistent({ size: from, root: other }, head(to), path)).toBe(false);
      expect(isConsistent(head(from), { size: to, root: other }, path)).toBe(false);
      expect(altered(hashes).filter((each) => isConsistent(head(from), head(to), each))).toEqual([]);
    }
  });

  it("holds for just one size of the earlier tree", () => {
    for (const { from, to, hashes } of every) {
      const path = Buffer.concat(hashes);
      const sizes = Array.from({ length: to + 2 }, (_, size) => size);
      const { root } = head(from);
      expect(sizes.filter((size) => isConsistent({ size, root }, head(to), path))).toEqual([from]);
    }
  });

  it("is empty from the empty tree, whose root is the hash of nothing", () => {
    expect(isConsistent(head(0), head(7), new Uint8Array())).toBe(true);
    expect(isConsistent(head(0), head(0), new Uint8Array())).toBe(true);
    expect(isConsistent({ size: 0, root: other }, head(7), new Uint8Array())).toBe(false);
    expect(isConsistent(head(0), head(7), other)).toBe(false);
  });

  it("does not go backwards", () => {
    expect(isConsistent(head(7), head(3), Buffer.concat(proof(3, leaves.slice(0, 7))))).toBe(false);
  });
});
