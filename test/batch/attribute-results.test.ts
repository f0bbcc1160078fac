/** Results with attributes, against the attributes that a caller makes of the plain form. */
import { describe, expect, it } from "vitest";
import type { SignedSpan } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { signingKey } from "../../src/crypto/ed25519.ts";
import { emptyTree, growTree } from "../../src/tlog/merkle.ts";
import type { LogPosition, ProvenBatch } from "../../src/batch/prove.ts";
import { signBatch } from "../../src/batch/sign-individually.ts";
import { maxAnswerBytes } from "../../src/batch/results.ts";
import { maxProofBytes } from "../../src/tlog/inclusion-proof.ts";
import { numberedSpan, withProof, withSignature } from "../support/span-batches.ts";
import { badSpan, batchOf, decoded, provenMessages as proven, resultsOf, spansFrom } from "../support/made-batches.ts";

const key = signingKey(new Uint8Array(32).fill(1));
const tenant = "acme";
const requestId = "batch-1";
const out = Buffer.alloc(maxAnswerBytes);
const times = ["2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05.100Z"].map((text) =>
  Date.parse(text),
);

/** Each result as its attributes, or as the code of its error. */
function attributesIn(messages: readonly Uint8Array[]) {
  return resultsOf(messages).map(({ result }) =>
    result.case === "signed" ? result.value.attributes : result.value?.code,
  );
}

/** What a caller puts on a span, by the plain form of its result. */
function madeOf(messages: readonly Uint8Array[], put: (signed: SignedSpan) => { attributes: unknown }) {
  return resultsOf(messages).map(({ result }) =>
    result.case === "signed" ? put(result.value).attributes : result.value?.code,
  );
}

function signed(spans: number, signedAtMs: number, withAttributes: boolean): Uint8Array[] {
  const batch = batchOf([...spansFrom(0, spans), badSpan]);
  const by = { tenant, keyId: "00112233445566778899aabbccddeeff", key, requestId, signedAtMs, withAttributes };
  return signBatch(batch, by, out).messages;
}

/** A log of so many leaves that grew by so many. */
function grown(before: number, added: number, origin = "kms.example.com/acme"): LogPosition {
  const leaves = (count: number) => Buffer.from(Array.from({ length: 32 * count }, (_, at) => (at * 7) % 251));
  const checkpoint = `${origin}\n9\nroot=\n\n— ${origin} ${"A".repeat(92)}\n`;
  const siblings = growTree(growTree(emptyTree, leaves(before)).after, leaves(added));
  return { firstIndex: before, siblings, checkpoint };
}

describe("the attributes of a signature", () => {
  it.each(times)("are those that a caller makes of the plain form, at %i", (signedAtMs) => {
    const attributes = attributesIn(signed(50, signedAtMs, true));
    expect(attributes).toEqual(
      madeOf(signed(50, signedAtMs, false), (plain) => withSignature(numberedSpan(0), tenant, plain)),
    );
    expect(attributes).toHaveLength(51);
    expect(attributes.at(-1)).toBe(3);
  });

  it("stand in place of signature and key, beside the time", () => {
    const [first] = resultsOf(signed(1, times[0]!, true));
    const signedAt = { seconds: 1767323045n, nanos: 678_000_000 };
    const value = { signature: new Uint8Array(), keyId: "", proof: "", signedAt };
    expect(first!.result).toMatchObject({ case: "signed", value });
  });

  it("of 10,000 spans come in messages below 1 MiB", () => {
    const messages = signed(9_999, times[0]!, true);
    expect(messages.every(({ length }) => length < 1024 * 1024)).toBe(true);
    expect(resultsOf(messages)).toHaveLength(10_000);
    expect(decoded(messages).map(({ batchDone }) => batchDone)).toEqual(
      messages.map((_, i) => i === messages.length - 1),
    );
  });
});

describe("the attributes of a proof", () => {
  const refused = [2, 40].map((at) => ({ at, field: `spans[${at}]`, message: "is bad" }));
  const batch = (spans: number, signedAtMs: number): ProvenBatch => ({ spans, refused, signedAtMs, requestId });

  it.each([
    [0, 98, times[0]!],
    [255, 600, times[1]!],
    [99_990, 60, times[2]!],
  ])("in a log of %i leaves that grew by %i are those that a caller makes of the plain form", (before, added, ms) => {
    const place = grown(before, added);
    const spans = added + refused.length;
    const attributes = attributesIn(proven({ ...batch(spans, ms), attributesFor: { tenant } }, place));
    expect(attributes).toEqual(
      madeOf(proven(batch(spans, ms), place), (plain) => withProof(numberedSpan(0), tenant, plain)),
    );
    expect(attributes).toHaveLength(spans);
  });

  it("stand in place of the proof, beside time and index", () => {
    const place = grown(7, 1);
    const one = { ...batch(1, times[0]!), refused: [], attributesFor: { tenant } };
    const value = {
      signature: new Uint8Array(),
      keyId: "",
      proof: "",
      leafIndex: 7n,
      signedAt: { nanos: 678_000_000 },
    };
    expect(resultsOf(proven(one, place))).toMatchObject([{ result: { case: "signed", value } }]);
  });

  it("are the same from paths that are given", () => {
    const place = grown(9, 1);
    const paths = { ...place, siblings: [Buffer.alloc(53 * 32, 9)] };
    const one = { ...batch(1, times[0]!), refused: [] };
    expect(attributesIn(proven({ ...one, attributesFor: { tenant } }, paths))).toEqual(
      madeOf(proven(one, paths), (plain) => withProof(numberedSpan(0), tenant, plain)),
    );
  });

  it("of 5,000 spans come in messages below 1 MiB, each begun where the one before ended", () => {
    const place = grown(1_000, 4_998);
    const messages = proven({ ...batch(5_000, times[0]!), attributesFor: { tenant } }, place);
    expect(messages.length).toBeGreaterThan(4);
    expect(messages.every(({ length }) => length < 1024 * 1024)).toBe(true);
    expect(messages.slice(0, -1).every(({ length }) => length > 1000 * 1024)).toBe(true);
    const plain = proven(batch(5_000, times[0]!), place);
    expect(attributesIn(messages)).toEqual(madeOf(plain, (each) => withProof(numberedSpan(0), tenant, each)));
    expect(decoded(messages).at(-1)).toMatchObject({ batchDone: true, checkpoint: place.checkpoint, requestId });
  });

  it("have room for the longest proof that there can be", () => {
    const { checkpoint } = grown(0, 1, `kms.example.com/${"ä".repeat(200)}`);
    const last = Number.MAX_SAFE_INTEGER - 1;
    const place = { firstIndex: last, siblings: [Buffer.alloc(53 * 32, 1)], checkpoint };
    const one = { ...batch(1, times[0]!), refused: [] };
    const [plain] = resultsOf(proven(one, place));
    expect(Buffer.byteLength((plain!.result.value as SignedSpan).proof)).toBe(maxProofBytes(checkpoint));
    expect(attributesIn(proven({ ...one, attributesFor: { tenant } }, place))).toEqual(
      madeOf(proven(one, place), (each) => withProof(numberedSpan(0), tenant, each)),
    );
  });
});
