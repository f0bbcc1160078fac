import { describe, expect, it } from "vitest";
import { signingKey } from "../../src/crypto/ed25519.ts";
import { type BatchSigner, signBatch } from "../../src/batch/sign-individually.ts";
import { readSignSpanRequest } from "../../src/service/codec/sign-span.ts";
import { signSpan } from "../../src/attestation/sign-statement.ts";
import { maxAnswerBytes } from "../../src/batch/results.ts";
import { thrownBy } from "../support/matchers.ts";
import {
  badSpan,
  batchOf,
  decoded,
  numberedSpan,
  resource,
  resultsOf,
  scope,
  spansFrom,
} from "../support/made-batches.ts";
import { type Bytes, hex, len, message } from "../support/otlp-wire.ts";

const key = signingKey(new Uint8Array(32).fill(1));
const signedAtMs = Date.parse("2026-01-02T03:04:05.678Z");
const by = { tenant: "acme", keyId: "00112233445566778899aabbccddeeff", key, requestId: "batch-1", signedAtMs };

const out = Buffer.alloc(maxAnswerBytes);
const signed = (batch: Bytes, signer: BatchSigner = by) => signBatch(batch, signer, out);

/** What SignSpan makes of the same span. */
function signedAlone(n: number) {
  const { span } = readSignSpanRequest(message(len(2, numberedSpan(n)), len(3, resource), len(4, scope)));
  return signSpan(span, by, signedAtMs);
}

describe("signing a batch", () => {
  it("gives each span the signature that it gets alone, in order", () => {
    const { messages, ...counts } = signed(batchOf(spansFrom(0, 200)));
    expect(counts).toEqual({ signed: 200, refused: 0 });
    const results = resultsOf(messages);
    expect(results).toHaveLength(200);
    results.forEach(({ result }, n) => {
      const { signature } = signedAlone(n);
      const signedAt = { seconds: 1767323045n, nanos: 678_000_000 };
      expect(result).toMatchObject({ case: "signed", value: { signature, keyId: by.keyId, signedAt, proof: "" } });
      expect(result.value).not.toHaveProperty("leafIndex");
    });
  });

  it("says at its end that it is done, and names the request", () => {
    const batch = batchOf(spansFrom(0, 2));
    expect(decoded(signed(batch).messages)).toMatchObject([{ batchDone: true, requestId: "batch-1", checkpoint: "" }]);
    expect(decoded(signed(batch, { ...by, requestId: "" }).messages)).toMatchObject([
      { batchDone: true, requestId: "" },
    ]);
  });

  it("answers a batch without spans", () => {
    const { messages, ...counts } = signed(hex(""));
    expect(counts).toEqual({ signed: 0, refused: 0 });
    expect(decoded(messages)).toMatchObject([{ results: [], batchDone: true }]);
  });

  it("puts an error in the place of a span that is refused", () => {
    const { messages, ...counts } = signed(batchOf([numberedSpan(0), badSpan, numberedSpan(2)]));
    expect(counts).toEqual({ signed: 2, refused: 1 });
    const field = "resource_spans[0].scope_spans[0].spans[1]";
    const text = "field number 17 is unknown and could not be signed; leave it out";
    expect(resultsOf(messages).map(({ result }) => result)).toMatchObject([
      { case: "signed", value: { signature: signedAlone(0).signature } },
      { case: "error", value: { code: 3, field, message: text } },
      { case: "signed", value: { signature: signedAlone(2).signature } },
    ]);
  });

  it("gives 10,000 results in messages below 1 MiB, of which the last one ends the batch", () => {
    const { messages } = signed(batchOf(spansFrom(0, 10_000)));
    expect(messages.length).toBeGreaterThan(1);
    expect(messages.every(({ length }) => length < 1024 * 1024)).toBe(true);
    const responses = decoded(messages);
    expect(responses.map(({ batchDone }) => batchDone)).toEqual(messages.map((_, i) => i === messages.length - 1));
    expect(responses.every(({ requestId }) => requestId === "batch-1")).toBe(true);
    const results = resultsOf(messages);
    expect(results).toHaveLength(10_000);
    for (const n of [0, 4_999, 9_999]) {
      expect(results[n]!.result.value).toMatchObject({ signature: signedAlone(n).signature });
    }
  });

  it("gives 10,000 errors in messages below 1 MiB", () => {
    const { messages, refused } = signed(batchOf(Array(10_000).fill(badSpan)));
    expect(refused).toBe(10_000);
    expect(messages.every(({ length }) => length < 1024 * 1024)).toBe(true);
    expect(resultsOf(messages)).toHaveLength(10_000);
  });

  it("refuses a malformed batch, and one with 10,001 spans", async () => {
    expect(await thrownBy(() => signed(len(9, "")))).toBeKmsError("INVALID_ARGUMENT", "request");
    expect(await thrownBy(() => signed(batchOf(Array(10_001).fill(badSpan))))).toBeKmsError(
      "INVALID_ARGUMENT",
      "resource_spans",
    );
  });

  it("takes the signature's attributes out of a span, as SignSpan does", () => {
    const attribute = len(9, message(len(1, "audit.integrity.algorithm"), len(2, len(1, "EdDSA"))));
    const [again] = resultsOf(signed(batchOf([message(numberedSpan(0), attribute)])).messages);
    expect(again!.result.value).toMatchObject({ signature: signedAlone(0).signature });
  });
});
