/** Signatures by go-securesystemslib's DSSE, statements by in-toto's attestation, both in Go. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { byGo } from "./others.ts";
import { type SignedLog, signedLog } from "./signed-log.ts";
import { alteredEnvelopes, signedEnvelope } from "./signed-span.ts";

let log: SignedLog;
beforeAll(async () => {
  log = await signedLog();
});
afterAll(() => log.stop());

it("a span's signature verifies as a DSSE envelope, and not after any change", async () => {
  const { keyId, publicKey, envelope } = await signedEnvelope(log);
  const by = { keyId, publicKey: Buffer.from(publicKey).toString("base64") };
  expect(byGo("envelope", { ...by, envelope })).toEqual({ verified: true, learned: { Accepted: 1 } });
  for (const altered of alteredEnvelopes(envelope))
    expect(byGo("envelope", { ...by, envelope: altered })).toMatchObject({ verified: false });
  const other = Buffer.from(log.published.keys[0]!.raw).toString("base64");
  expect(byGo("envelope", { keyId, publicKey: other, envelope })).toMatchObject({ verified: false });
});

it("what is signed, and what a log has, are in-toto statements", async () => {
  const { statement } = await signedEnvelope(log);
  const { entry } = await log.client.logs.getInclusionProof({ tenantId: log.tenantId, leafIndex: 7n });
  const [handover] = log.published.handovers;
  const subject = expect.stringMatching(/^[0-9a-f]{32}\/[0-9a-f]{16}$/);
  const compliance = "https://fluo.dev/kms/compliance-span/v1";
  const statements = [
    [statement, { PredicateType: compliance, Subject: subject }],
    [Buffer.from(entry).toString(), { PredicateType: compliance, Subject: subject }],
    [
      Buffer.from(handover!.entry).toString(),
      { PredicateType: "https://fluo.dev/kms/key-handover/v1", Subject: handover!.toKeyId },
    ],
  ] as const;
  for (const [text, learned] of statements) {
    expect(byGo("statement", { statement: JSON.parse(text) })).toEqual({ verified: true, learned });
  }
});

it("is refused: a statement of another type, without its subject, its digest or its predicate", async () => {
  const statement = JSON.parse((await signedEnvelope(log)).statement);
  const wrong = [
    { ...statement, _type: "https://in-toto.io/Statement/v2" },
    { ...statement, subject: [] },
    { ...statement, subject: [{ name: statement.subject[0].name }] },
    { ...statement, subject: [{ ...statement.subject[0], digest: { sha256: "abcd" } }] },
    { ...statement, predicate: undefined },
  ];
  for (const each of wrong) expect(byGo("statement", { statement: each })).toMatchObject({ verified: false });
});
