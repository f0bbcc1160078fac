import { describe, expect, it } from "vitest";
import { enterBatch } from "../../src/batch/enter.ts";
import { bundleOf, unpackRuns } from "../../src/tlog/entry-run.ts";
import { buildLogStatement } from "../../src/attestation/log-entry.ts";
import { leafHash } from "../../src/tlog/merkle.ts";
import { readSignSpanRequest } from "../../src/service/codec/sign-span.ts";
import { spanDigest } from "../../src/attestation/sign-statement.ts";
import { thrownBy } from "../support/matchers.ts";
import { badSpan, batchOf, numberedSpan, resource, scope, spansFrom } from "../support/made-batches.ts";
import { hex, len, message, varint } from "../support/otlp-wire.ts";

const signedAt = "2026-01-02T03:04:05.678Z";
const about = { tenant: "acme", requestId: "batch-1", signedAtMs: Date.parse(signedAt) };

function entryOf(n: number): Buffer {
  const { span } = readSignSpanRequest(message(len(2, numberedSpan(n)), len(3, resource), len(4, scope)));
  const { traceId, spanId } = span;
  return Buffer.from(buildLogStatement({ traceId, spanId, digest: spanDigest(span), tenant: "acme", signedAt }));
}

function entriesIn(packed: Uint8Array): Buffer[] {
  const bytes = Buffer.from(bundleOf(unpackRuns(packed)!));
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 2 + bytes.readUInt16BE(at);
    found.push(bytes.subarray(at + 2, end));
    at = end;
  }
  return found;
}

const leavesIn = (leaves: Uint8Array) =>
  Array.from({ length: leaves.length / 32 }, (_, i) => Buffer.from(leaves.subarray(32 * i, 32 * i + 32)));

describe("entering a batch", () => {
  it("makes each span a log statement without a key, and its leaf", () => {
    const { entries, leaves, ...rest } = enterBatch(batchOf(spansFrom(0, 300)), about);
    const expected = Array.from({ length: 300 }, (_, n) => entryOf(n));
    expect(entriesIn(entries)).toEqual(expected);
    expect(leavesIn(leaves)).toEqual(expected.map(leafHash));
    expect(rest).toMatchObject({ spans: 300, refused: [], requestId: "batch-1", signedAtMs: about.signedAtMs });
  });

  it("leaves out what is refused, and says where", () => {
    const batch = enterBatch(batchOf([badSpan, numberedSpan(1), badSpan, numberedSpan(3)]), about);
    expect(entriesIn(batch.entries)).toEqual([entryOf(1), entryOf(3)]);
    expect(leavesIn(batch.leaves)).toEqual([entryOf(1), entryOf(3)].map(leafHash));
    expect(batch).toMatchObject({ spans: 4, refused: [{ at: 0 }, { at: 2 }] });
  });

  it("gives memory that is its own", () => {
    for (const spans of [spansFrom(0, 3), [badSpan, ...spansFrom(0, 2)]]) {
      const { entries, leaves } = enterBatch(batchOf(spans), about);
      expect([entries.buffer.byteLength, leaves.buffer.byteLength]).toEqual([entries.length, leaves.length]);
    }
  });

  it("knows the same ResourceSpans again, whatever is beside them and however they are signed, and no other", () => {
    const [a, b] = [batchOf(spansFrom(0, 2)), batchOf(spansFrom(2, 3))];
    const digest = (...parts: Uint8Array[]) => enterBatch(message(...parts), about).digest;
    expect(digest(a, b)).toMatch(/^[0-9a-f]{64}$/);
    expect(digest(len(2, "acme"), a, varint(3, 2), b, len(4, "batch-1"))).toBe(digest(a, b));
    expect(enterBatch(message(a, b), { ...about, signedAtMs: 0 }).digest).toBe(digest(a, b));
    const others = [digest(a), digest(b, a), digest(a, b, len(1, "")), digest(batchOf(spansFrom(0, 3)))];
    expect(new Set([digest(a, b), ...others]).size).toBe(5);
  });

  it("takes no digest where there is no request id", () => {
    expect(enterBatch(batchOf(spansFrom(0, 2)), { ...about, requestId: "" }).digest).toBe("");
  });

  it("enters a batch without spans as nothing", () => {
    const { entries, leaves, spans } = enterBatch(hex(""), about);
    expect([entriesIn(entries), leaves.length, spans]).toEqual([[], 0, 0]);
  });

  it("refuses a malformed batch", async () => {
    expect(await thrownBy(() => enterBatch(len(9, ""), about))).toBeKmsError("INVALID_ARGUMENT", "request");
  });
});
