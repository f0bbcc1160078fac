/** The proofs of a batch, against each of them written by itself. */
import { describe, expect, it } from "vitest";
import { inclusionPath } from "../../src/tlog/proof-writer.ts";
import { emptyTree, type Growth, growTree, type Tree } from "../../src/tlog/merkle.ts";
import type { ProvenBatch } from "../../src/batch/prove.ts";
import { tlogProofText } from "../../src/tlog/inclusion-proof.ts";
import { decoded, provenMessages as messagesOf, resultsOf } from "../support/made-batches.ts";

const checkpoint = `kms.example/acme\n9\nroot=\n\n— kms.example/acme ${"A".repeat(92)}\n`;
const signedAtMs = Date.parse("2026-01-02T03:04:05.678Z");

/** Leaves that all differ. */
function leaves(count: number): Uint8Array {
  const bytes = Buffer.alloc(32 * count);
  for (let i = 0; i < count; i += 1) bytes.writeUInt32BE(i, 32 * i);
  return bytes;
}

const treeOf = (size: number): Tree => growTree(emptyTree, leaves(size)).after;

function batchOf(spans: number, refusedAt: readonly number[] = []): ProvenBatch {
  const refused = refusedAt.map((at) => ({ at, field: `spans[${at}]`, message: "is bad" }));
  return { spans, refused, signedAtMs, requestId: "batch-1" };
}

function provenIn(messages: readonly Uint8Array[]) {
  return resultsOf(messages).map(({ result }) =>
    result.case === "signed" ? [Number(result.value.leafIndex), result.value.proof] : [result.case, result.value?.code],
  );
}

const alone = (growth: Growth, index: number) => [
  index,
  tlogProofText({ index, path: inclusionPath(growth, index), checkpoint }),
];

describe("the proofs of a batch", () => {
  it.each([
    [0, 1],
    [0, 2],
    [1, 1],
    [0, 257],
    [5, 8],
    [255, 2],
    [255, 600],
    [1023, 1025],
    [777, 256],
  ])("in a tree of %i leaves that grew by %i are what each is by itself", (before, added) => {
    const growth = growTree(treeOf(before), leaves(added));
    const messages = messagesOf(batchOf(added), { firstIndex: before, siblings: growth, checkpoint });
    expect(provenIn(messages)).toEqual(Array.from({ length: added }, (_, i) => alone(growth, before + i)));
  });

  it("are those of its place, where others grew the tree with it", () => {
    const growth = growTree(treeOf(100), leaves(50));
    const messages = messagesOf(batchOf(7), { firstIndex: 121, siblings: growth, checkpoint });
    expect(provenIn(messages)).toEqual(Array.from({ length: 7 }, (_, i) => alone(growth, 121 + i)));
  });

  it("leave the places of refused spans to their errors", () => {
    const growth = growTree(treeOf(3), leaves(3));
    const messages = messagesOf(batchOf(6, [0, 3, 5]), { firstIndex: 3, siblings: growth, checkpoint });
    const error = ["error", 3];
    expect(provenIn(messages)).toEqual([error, alone(growth, 3), alone(growth, 4), error, alone(growth, 5), error]);
  });

  it("are the same from paths that are given", () => {
    const growth = growTree(treeOf(9), leaves(40));
    const paths = Array.from({ length: 40 }, (_, i) => inclusionPath(growth, 9 + i));
    const batch = batchOf(41, [7]);
    expect(messagesOf(batch, { firstIndex: 9, siblings: paths, checkpoint })).toEqual(
      messagesOf(batch, { firstIndex: 9, siblings: growth, checkpoint }),
    );
  });

  it("come in messages below 1 MiB, each begun where the one before ended, the last with the checkpoint", () => {
    const refused = [10, 2_500, 2_501, 4_999];
    const growth = growTree(treeOf(1_000), leaves(5_000 - refused.length));
    const messages = messagesOf(batchOf(5_000, refused), { firstIndex: 1_000, siblings: growth, checkpoint });
    expect(messages.length).toBeGreaterThan(2);
    expect(messages.every(({ length }) => length < 1024 * 1024)).toBe(true);
    expect(messages.slice(0, -1).every(({ length }) => length > 1000 * 1024)).toBe(true);
    const responses = decoded(messages);
    expect(responses.map((each) => [each.batchDone, each.checkpoint, each.requestId])).toEqual(
      messages.map((_, i) => (i === messages.length - 1 ? [true, checkpoint, "batch-1"] : [false, "", "batch-1"])),
    );
    const results = provenIn(messages);
    expect(results).toHaveLength(5_000);
    expect(results.filter(([first]) => first !== "error")).toEqual(
      Array.from({ length: 4_996 }, (_, i) => alone(growth, 1_000 + i)),
    );
    expect(refused.map((at) => results[at])).toEqual(refused.map(() => ["error", 3]));
  });

  it("end at once for a batch without spans", () => {
    const [message, ...more] = messagesOf(batchOf(0), { firstIndex: 4, siblings: [], checkpoint });
    expect(more).toEqual([]);
    expect(decoded([message!])).toMatchObject([{ results: [], batchDone: true, checkpoint }]);
  });

  it("say when they were signed", () => {
    const growth = growTree(emptyTree, leaves(1));
    const [message] = messagesOf(batchOf(1), { firstIndex: 0, siblings: growth, checkpoint });
    const signedAt = { seconds: 1767323045n, nanos: 678_000_000 };
    expect(resultsOf([message!])[0]!.result.value).toMatchObject({ signedAt, leafIndex: 0n, keyId: "" });
  });
});
