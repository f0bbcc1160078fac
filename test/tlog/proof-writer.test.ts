/** Paths and proofs of what a log just took in, against RFC 6962's own recursive definition, which knows nothing of growing. */
import { describe, expect, it } from "vitest";
import { inclusionPath, proofWriter } from "../../src/tlog/proof-writer.ts";
import { emptyTree, type Growth, growTree, leafHash } from "../../src/tlog/merkle.ts";
import { tlogProofText } from "../../src/tlog/inclusion-proof.ts";
import { path } from "../support/rfc6962.ts";

const leaves = Array.from({ length: 700 }, (_, index) => leafHash(Buffer.from(`entry ${index}`)));
const checkpoint = "kms.example/acme\n10\nroot=\n\n— kms.example/acme sig=\n";

function grown(from: number, to: number): Growth {
  const { after } = growTree(emptyTree, Buffer.concat(leaves.slice(0, from)));
  return growTree(after, Buffer.concat(leaves.slice(from, to)));
}

const growths: [from: number, to: number][] = [
  [0, 1],
  [0, 2],
  [1, 2],
  [0, 7],
  [5, 8],
  [6, 7],
  [3, 300],
  [255, 257],
  [256, 257],
  [256, 512],
  [301, 600],
  [640, 700],
];

describe.each(growths)("a log that grew from %i leaves to %i", (from, to) => {
  const growth = grown(from, to);
  const defined = (index: number) => Buffer.concat(path(index, leaves.slice(0, to)));

  it("has the path of its definition for each new leaf", () => {
    for (let index = from; index < to; index += 1) expect(inclusionPath(growth, index)).toEqual(defined(index));
  });

  it("has C2SP's text around it, of the length that was said, whichever leaf is asked for next", () => {
    const inOrder = Array.from({ length: to - from }, (_, at) => from + at);
    const out = Buffer.alloc(4096);
    const proofs = proofWriter(growth, checkpoint, out);
    for (const index of [...inOrder, ...inOrder.toReversed(), ...inOrder.filter((each) => each % 17 === 0)]) {
      const length = proofs.measure(index);
      expect(proofs.write(3)).toBe(3 + length);
      expect(out.toString("utf8", 3, 3 + length)).toBe(tlogProofText({ index, path: defined(index), checkpoint }));
    }
  });
});

it("a log of more than 2^32 leaves still has paths", () => {
  const size = 2 ** 33 + 5;
  const before = { size, frontier: Buffer.concat(leaves.slice(0, 3)) };
  const growth = growTree(before, Buffer.concat(leaves.slice(10, 13)));
  // 2^33, 4, 1 and then 5 new: the first new one has an old leaf on its left, the old 4 above that, and 2^33 above all.
  const above = inclusionPath(growth, size);
  expect(above.subarray(0, 32)).toEqual(leaves[2]);
  expect(above.subarray(-32)).toEqual(leaves[0]);
});
