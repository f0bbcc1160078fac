/** Signatures by Python's securesystemslib; canonical forms by Python's rfc8785. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { readSignSpanRequest } from "../../src/service/codec/sign-span.ts";
import { signRequest } from "../support/otlp-wire.ts";
import { generator, randomSpan } from "../support/random-span.ts";
import { byPython } from "./others.ts";
import { type SignedLog, signedLog } from "./signed-log.ts";
import { alteredEnvelopes, signedEnvelope } from "./signed-span.ts";

let log: SignedLog;
beforeAll(async () => {
  log = await signedLog();
});
afterAll(() => log.stop());

it("a span's signature verifies as a DSSE envelope, and not after any change", async () => {
  const { keyId, publicKey, envelope } = await signedEnvelope(log);
  const by = { keyId, publicKey: Buffer.from(publicKey).toString("hex") };
  expect(byPython("envelope", { ...by, envelope })).toEqual({ verified: true, learned: { accepted: [keyId] } });
  for (const altered of alteredEnvelopes(envelope))
    expect(byPython("envelope", { ...by, envelope: altered })).toMatchObject({ verified: false });
});

it("the canonical form of a span is RFC 8785's of what it says, of statements and entries as well", async () => {
  const r = generator(8785);
  const forms = Array.from({ length: 2000 }, () => readSignSpanRequest(signRequest(randomSpan(r).wire)).span.canonical);
  const { entry } = await log.client.logs.getInclusionProof({ tenantId: log.tenantId, leafIndex: 7n });
  const others = [(await signedEnvelope(log)).statement, Buffer.from(entry).toString()];
  const handovers = log.published.handovers.map((handover) => Buffer.from(handover.entry).toString());
  expect(byPython("canonical", { texts: [...forms, ...others, ...handovers] })).toEqual({
    verified: true,
    learned: { others: [] },
  });
});

it("other texts that say the same are not", () => {
  const texts = ['{"b":1,"a":2}', '{"a": 1}', '{"a":1.0}', '{"a":"\\u0062"}', '{"a":1e21,"b":1}', '{"a":1}'];
  expect(byPython("canonical", { texts })).toEqual({ verified: true, learned: { others: [0, 1, 2, 3, 4] } });
});
