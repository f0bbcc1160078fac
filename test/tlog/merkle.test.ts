/** The growing tree against RFC 6962's own recursive definition. */
import { describe, expect, it } from "vitest";
import { emptyRoot, emptyTree, growTree, leafHash, newNodes, rootOf } from "../../src/tlog/merkle.ts";
import { treeHash } from "../support/rfc6962.ts";

const leaves = Array.from({ length: 700 }, (_, index) => leafHash(Buffer.from(`entry ${index}`)));

describe("a tree", () => {
  it("has the hash of nothing as its root while it is empty", () => {
    expect(Buffer.from(emptyRoot).toString("hex")).toBe(
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    );
    expect(rootOf(emptyTree)).toEqual(emptyRoot);
    expect(growTree(emptyTree, new Uint8Array()).root).toEqual(emptyRoot);
  });

  it.each([1, 2, 3, 7, 8, 64, 65, 255, 256, 257])(
    "that grows by %i leaves at once has the root of its definition",
    (step) => {
      let tree = emptyTree;
      while (tree.size + step <= leaves.length) {
        const growth = growTree(tree, Buffer.concat(leaves.slice(tree.size, tree.size + step)));
        tree = growth.after;
        expect(growth.root).toEqual(treeHash(leaves.slice(0, tree.size)));
        expect(rootOf(tree)).toEqual(growth.root);
      }
    },
  );

  it("names the nodes that a growth made complete, at each level", () => {
    const first = growTree(emptyTree, Buffer.concat(leaves.slice(0, 301)));
    const growth = growTree(first.after, Buffer.concat(leaves.slice(301, 600)));
    for (const level of [0, 1, 5, 8]) {
      const { start, hashes } = newNodes(growth, level);
      const width = 2 ** level;
      expect(start).toBe(Math.floor(301 / width));
      expect(hashes.length / 32).toBe(Math.floor(600 / width) - start);
      for (let index = start; index < Math.floor(600 / width); index += 1) {
        const expected = treeHash(leaves.slice(index * width, (index + 1) * width));
        expect(hashes.slice((index - start) * 32, (index - start + 1) * 32)).toEqual(expected);
      }
    }
    expect(newNodes(growth, 10).hashes).toHaveLength(0);
  });
});
