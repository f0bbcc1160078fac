/** Paths against RFC 6962's own recursive definition, which knows nothing of growing. */
import { describe, expect, it } from "vitest";
import { inclusionPath, inclusionProof } from "../../src/span/inclusion.ts";
import { emptyTree, growTree, leafHash, nodeHash } from "../../src/span/merkle.ts";

const leaves = Array.from({ length: 700 }, (_, index) => leafHash(Buffer.from(`entry ${index}`)));

/** RFC 6962, 2.1: the largest power of two below n. */
function splitOf(n: number): number {
  let split = 1;
  while (split * 2 < n) split *= 2;
  return split;
}

/** RFC 6962, 2.1: MTH. */
function treeHash(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 1) return hashes[0]!;
  const split = splitOf(hashes.length);
  return nodeHash(treeHash(hashes.slice(0, split)), treeHash(hashes.slice(split)));
}

/** RFC 6962, 2.1.1: PATH. */
function pathOf(m: number, hashes: readonly Uint8Array[]): Uint8Array[] {
  if (hashes.length === 1) return [];
  const split = splitOf(hashes.length);
  const [left, right] = [hashes.slice(0, split), hashes.slice(split)];
  return m < split ? [...pathOf(m, left), treeHash(right)] : [...pathOf(m - split, right), treeHash(left)];
}

describe("a path", () => {
  it.each([
    [0, 1],
    [0, 2],
    [1, 2],
    [0, 7],
    [5, 8],
    [3, 300],
    [255, 257],
    [256, 512],
    [301, 600],
    [640, 700],
  ])("of a leaf that made %i leaves %i is that of its definition", (from, to) => {
    const { after } = growTree(emptyTree, Buffer.concat(leaves.slice(0, from)));
    const growth = growTree(after, Buffer.concat(leaves.slice(from, to)));
    for (let index = from; index < to; index += 1) {
      expect(inclusionPath(growth, index)).toEqual(Buffer.concat(pathOf(index, leaves.slice(0, to))));
    }
  });

  it("of the only leaf is empty", () => {
    expect(inclusionPath(growTree(emptyTree, leaves[0]!), 0)).toHaveLength(0);
  });
});

describe("a proof", () => {
  it("is C2SP's text: its name, the index, a hash a line, and the note behind an empty line", () => {
    const path = Buffer.concat([Buffer.alloc(32, 1), Buffer.alloc(32, 2)]);
    expect(inclusionProof(9, path, "kms.example/acme\n10\nroot=\n\n— kms.example/acme sig=\n")).toBe(
      "c2sp.org/tlog-proof@v1\nindex 9\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\nAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n" +
        "\nkms.example/acme\n10\nroot=\n\n— kms.example/acme sig=\n",
    );
  });

  it("of the only leaf has no hash", () => {
    expect(inclusionProof(0, new Uint8Array(), "note\n")).toBe("c2sp.org/tlog-proof@v1\nindex 0\n\nnote\n");
  });
});
