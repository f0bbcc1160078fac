/** Proofs from tiles, against the definitions of RFC 6962 in small trees and against the growing tree in large ones. */
import { describe, expect, it } from "vitest";
import { emptyTree, growTree, leafHash, rootOf } from "../../src/tlog/merkle.ts";
import { isConsistent, isIncluded } from "../../src/tlog/verify-proof.ts";
import { storedTree } from "../../src/tlog/stored-tree.ts";
import { hashesOf } from "../../src/tlog/inclusion-proof.ts";
import { thrownBy } from "../support/matchers.ts";
import { path, proof, treeHash } from "../support/rfc6962.ts";
import { tilesOf } from "../support/stored-log.ts";

const leaves = Array.from({ length: 66_000 }, (_, index) => leafHash(Buffer.from(`entry ${index}`)));

describe("a tree of a few leaves", () => {
  const small = leaves.slice(0, 20);
  const { read } = tilesOf(small);
  const tree = storedTree(read);

  it("gives the paths of RFC 6962, at every size up to its own", async () => {
    for (let size = 1; size <= small.length; size += 1) {
      const paths = await tree.inclusionPaths(0, size, size);
      expect(paths).toEqual(Array.from({ length: size }, (_, i) => Buffer.concat(path(i, small.slice(0, size)))));
      for (let from = 1; from <= size; from += 1) {
        expect(await tree.consistencyPath(from, size)).toEqual(Buffer.concat(proof(from, small.slice(0, size))));
      }
      expect(rootOf(await tree.treeAt(size))).toEqual(treeHash(small.slice(0, size)));
    }
    expect(await tree.treeAt(0)).toEqual({ size: 0, frontier: Buffer.alloc(0) });
  });
});

describe("a tree over several levels of tiles", () => {
  const sizes = [255, 256, 257, 511, 4096, 65_535, 65_536, 65_537, leaves.length];
  const { read, reads } = tilesOf(leaves);
  const tree = storedTree(read);
  const headAt = (size: number) => {
    const { after, root } = growTree(emptyTree, Buffer.concat(leaves.slice(0, size)));
    return { size, root, after };
  };
  const heads = sizes.map(headAt);

  it("proves its leaves, at any size", async () => {
    for (const head of heads) {
      for (const index of new Set([0, 1, 254, 255, 256, 300, 65_535, head.size - 1])) {
        if (index >= head.size) continue;
        const [only] = await tree.inclusionPaths(index, 1, head.size);
        expect(isIncluded({ leaf: leaves[index]!, index, path: only! }, head)).toBe(true);
      }
    }
  });

  it("proves that each size goes on from every earlier one", async () => {
    for (const to of heads) {
      for (const from of heads.filter(({ size }) => size <= to.size)) {
        expect(isConsistent(from, to, await tree.consistencyPath(from.size, to.size))).toBe(true);
      }
      expect(await tree.treeAt(to.size)).toEqual(to.after);
    }
  });

  it("proves many leaves at once, reading each tile once", async () => {
    reads.length = 0;
    const head = headAt(leaves.length);
    const paths = await tree.inclusionPaths(500, 10_000, head.size);
    expect(paths).toHaveLength(10_000);
    for (const [i, path] of paths.entries()) {
      expect(isIncluded({ leaf: leaves[500 + i]!, index: 500 + i, path }, head)).toBe(true);
    }
    expect(new Set(reads).size).toBe(reads.length);
    expect(reads.length).toBeLessThan(10_000 / 256 + 8);
  });

  it("reads a few tiles for one leaf, however large it is", async () => {
    reads.length = 0;
    const [only] = await tree.inclusionPaths(33_333, 1, leaves.length);
    expect(hashesOf(only!)).toHaveLength(17);
    expect(reads.length).toBeLessThanOrEqual(5);
  });
});

describe("a tree is refused", () => {
  const { read } = tilesOf(leaves.slice(0, 300));

  it("where a tile has too few hashes, as data loss", async () => {
    for (const lose of [0, 1]) {
      const tree = storedTree(async (level, tile) =>
        level === lose ? (await read(level, tile)).slice(32) : read(level, tile),
      );
      expect(await thrownBy(() => tree.treeAt(300))).toBeKmsError("DATA_LOSS", "fewer than");
    }
    expect(await thrownBy(() => storedTree(read).inclusionPaths(0, 1, 301))).toBeKmsError("DATA_LOSS", "fewer than");
  });

  it("for leaves that it does not have", async () => {
    const tree = storedTree(read);
    const wrong = [
      () => tree.inclusionPaths(300, 1, 300),
      () => tree.inclusionPaths(299, 2, 300),
      () => tree.inclusionPaths(-1, 1, 300),
      () => tree.inclusionPaths(0, 0, 300),
      () => tree.consistencyPath(0, 300),
      () => tree.consistencyPath(301, 300),
    ];
    for (const each of wrong) expect(await thrownBy(each)).toBeKmsError("INTERNAL", "tree");
  });
});
