/** Log proofs by filippo.io/torchwood, which reads and verifies C2SP tlog-proof in one. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { byTorchwood } from "./others.ts";
import { type SignedLog, signedLog } from "./signed-log.ts";

let log: SignedLog;
beforeAll(async () => {
  log = await signedLog();
});
afterAll(() => log.stop());

const given = async (n: number) => {
  const { entry } = await log.client.logs.getInclusionProof({ tenantId: log.tenantId, leafIndex: BigInt(n) });
  return { vkeys: [log.vkeys[0]!], proof: log.signed[n]!.proof, entry: Buffer.from(entry).toString("base64") };
};

it("a span's proof verifies, by the log's name and key", async () => {
  for (const n of [0, 1, 255, 256, 399]) expect(byTorchwood(await given(n))).toEqual({ verified: true, learned: {} });
});

it("is refused for another entry, by another key or name, and in any other form", async () => {
  const [first, second] = [await given(7), await given(8)];
  const { proof, vkeys } = first;
  const wrong = [
    { ...first, entry: second.entry },
    { ...first, vkeys: [log.vkeys[1]!] },
    { ...first, proof: proof.replaceAll("\n", "\r\n") },
    { ...first, proof: proof.replace("index 7", "index 6") },
    { ...first, proof: proof.replace("@v1", "@v2") },
    { ...first, proof: `${proof}\n` },
  ];
  for (const each of wrong) expect(byTorchwood(each)).toMatchObject({ verified: false });
  expect(byTorchwood({ ...first, vkeys })).toMatchObject({ verified: true });
});
