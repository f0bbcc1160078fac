/** Log proofs by transparency-dev/formats and /merkle and by golang.org/x/mod/sumdb/tlog; proofs of consistency by the latter two. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { byGo } from "./others.ts";
import { afterRotation, beforeRotation, type SignedLog, signedLog } from "./signed-log.ts";

let log: SignedLog;
beforeAll(async () => {
  log = await signedLog();
});
afterAll(() => log.stop());

const size = beforeRotation + 1 + afterRotation;
const entryOf = async (leafIndex: bigint) =>
  (await log.client.logs.getInclusionProof({ tenantId: log.tenantId, leafIndex })).entry;
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

describe("the proof of a span", () => {
  it("verifies by the key that was active when it was signed", async () => {
    for (const n of [0, 1, 2, 255, 256, 257, 399, 400, 401, 511, 599]) {
      const { proof, leafIndex } = log.signed[n]!;
      const vkey = log.vkeys[n < beforeRotation ? 0 : 1];
      expect(leafIndex).toBe(BigInt(n < beforeRotation ? n : n + 1));
      expect(byGo("proof", { vkeys: [vkey], proof, entry: base64(await entryOf(leafIndex!)) })).toMatchObject({
        verified: true,
        learned: { Index: Number(leafIndex), Checkpoint: { Size: n < beforeRotation ? beforeRotation : size } },
      });
    }
  });

  it("is refused for another entry, at another index, with another path, and by another key", async () => {
    const [{ proof }, other] = [log.signed[7]!, log.signed[8]!];
    const [entry, otherEntry] = [base64(await entryOf(7n)), base64(await entryOf(8n))];
    const [retired, active] = log.vkeys;
    const path = proof.split("\n");
    const wrong = [
      { vkeys: [retired], proof, entry: otherEntry },
      { vkeys: [retired], proof: other.proof, entry },
      { vkeys: [retired], proof: proof.replace("index 7", "index 8"), entry },
      { vkeys: [retired], proof: path.with(2, path[3]!).join("\n"), entry },
      { vkeys: [retired], proof: path.toSpliced(2, 1).join("\n"), entry },
      { vkeys: [active], proof, entry },
    ];
    for (const given of wrong) expect(byGo("proof", given)).toMatchObject({ verified: false });
  });

  it("is to be had anew, in the present tree, and so is a handover's", async () => {
    for (const leafIndex of [0n, 399n, 400n, 600n]) {
      const { proof, entry } = await log.client.logs.getInclusionProof({ tenantId: log.tenantId, leafIndex });
      const learned = { Index: Number(leafIndex), Checkpoint: { Size: size } };
      expect(byGo("proof", { vkeys: [log.vkeys[1]], proof, entry: base64(entry) })).toMatchObject({
        verified: true,
        learned,
      });
    }
    const { proof, entry } = log.published.handovers[0]!;
    expect(byGo("proof", { vkeys: log.vkeys, proof, entry: base64(entry) })).toMatchObject({ verified: true });
  });
});

describe("a proof of consistency", () => {
  const proven = async (fromSize: number, toSize: number) => {
    const { from, to, hashes } = await log.client.logs.getConsistencyProof({
      tenantId: log.tenantId,
      fromSize: BigInt(fromSize),
      toSize: BigInt(toSize),
    });
    const headOf = (head: typeof from) => ({ size: Number(head!.size), root: base64(head!.root) });
    return { from: headOf(from), to: headOf(to), hashes: hashes.map(base64) };
  };

  it("verifies from any size to any later one", async () => {
    for (const [from, to] of [
      [1, size],
      [255, 256],
      [256, 257],
      [300, 512],
      [400, 401],
      [401, size],
      [size, size],
    ] as const) {
      expect(byGo("consistency", await proven(from, to))).toMatchObject({ verified: true });
    }
  });

  it("is refused from another tree, to another, and with another hash in it", async () => {
    const proof = await proven(300, 512);
    const other = await proven(299, 511);
    const wrong = [
      { ...proof, from: other.from },
      { ...proof, from: { ...proof.from, root: other.from.root } },
      { ...proof, to: { ...proof.to, root: other.to.root } },
      { ...proof, hashes: proof.hashes.toSpliced(0, 1) },
      { ...proof, hashes: proof.hashes.with(0, proof.hashes[1]!) },
    ];
    for (const given of wrong) expect(byGo("consistency", given)).toMatchObject({ verified: false });
  });
});
