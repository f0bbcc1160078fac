import { hash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { readBatch } from "../../src/batch/request.ts";
import { findSpans, type RefusedSpan, readSpans } from "../../src/batch/spans.ts";
import { readResourceSpans } from "../../src/otlp/resource-spans.ts";
import { exportSpan } from "../otel/exported-span.ts";
import { thrownBy } from "../support/matchers.ts";
import { badSpan, batchOf, numberedSpan, resource, scope, spansFrom } from "../support/made-batches.ts";
import { type Bytes, hex, intValue, keyValue, len, message, varint } from "../support/otlp-wire.ts";

interface SeenSpan {
  traceId: string;
  spanId: string;
  digest: string;
}

function seenIn(bytes: Bytes): (SeenSpan | RefusedSpan)[] {
  const seen: (SeenSpan | RefusedSpan)[] = [];
  readSpans(findSpans(bytes, readBatch(bytes)), {
    span(about) {
      const digits = Buffer.from(about).toString("hex");
      seen.push({ digest: digits.slice(0, 64), traceId: digits.slice(64, 96), spanId: digits.slice(96) });
    },
    refused: (span) => seen.push(span),
  });
  return seen;
}

/** What the reader of one ResourceSpans message makes of it, span by span. */
function readAlone(resourceSpans: Bytes): SeenSpan[] {
  return Array.from(readResourceSpans(resourceSpans), (span) => {
    if (span instanceof Error) throw span;
    return { traceId: span.traceId, spanId: span.spanId, digest: hash("sha256", span.canonical) };
  });
}

const plain = message(len(2, message(len(2, numberedSpan(1)), len(2, numberedSpan(2)))));
const covered = message(
  len(1, resource),
  len(2, message(len(1, scope), len(2, numberedSpan(3)))),
  len(2, len(2, numberedSpan(4))),
);
const reversed = message(len(2, message(len(2, numberedSpan(5)), len(1, scope))), len(1, resource));

describe("the spans of a batch", () => {
  it("are seen in order, each with the digest that it has alone, whatever comes before and after", () => {
    const batch = message(...[plain, covered, plain, reversed].map((each) => len(1, each)), len(2, "acme"));
    expect(seenIn(batch)).toEqual([plain, covered, plain, reversed].flatMap(readAlone));
  });

  it("are those of an OTLP export", async () => {
    const { body } = await exportSpan();
    expect(seenIn(message(body, len(2, "acme")))).toEqual(
      readAlone(body.subarray(readBatch(body).resourceSpans[0]!.start)),
    );
  });

  it("are none where there are none", () => {
    expect(seenIn(hex(""))).toEqual([]);
    expect(seenIn(len(1, len(1, len(9, ""))))).toEqual([]);
  });

  it("are at most 10,000", async () => {
    const most = message(batchOf(spansFrom(0, 5_000)), batchOf(spansFrom(5_000, 10_000)));
    expect(seenIn(most)).toHaveLength(10_000);
    expect(await thrownBy(() => seenIn(message(most, batchOf(spansFrom(0, 1)))))).toBeKmsError(
      "INVALID_ARGUMENT",
      "resource_spans",
    );
  });
});

describe("a refused span", () => {
  it("is told in its place, with its path in the batch", () => {
    const bad = message(numberedSpan(0), len(9, keyValue("n", intValue(1))));
    const batch = message(batchOf(spansFrom(0, 2)), batchOf([numberedSpan(2), bad, numberedSpan(3), badSpan]));
    const seen = seenIn(batch);
    expect(seen).toHaveLength(6);
    expect(seen.filter((span) => "field" in span)).toEqual([
      {
        at: 3,
        field: "resource_spans[1].scope_spans[0].spans[1].attributes[2].key",
        message: "another entry of this list has the same key; keep one",
      },
      {
        at: 5,
        field: "resource_spans[1].scope_spans[0].spans[3]",
        message: "field number 17 is unknown and could not be signed; leave it out",
      },
    ]);
    expect([...seen.slice(0, 3), seen[4]]).toEqual(seenIn(batchOf(spansFrom(0, 4))));
  });

  it("is each one under a resource that is refused, and none of another", () => {
    const bad = message(len(1, len(9, "")), len(2, len(2, numberedSpan(0))), len(2, len(2, numberedSpan(1))));
    const seen = seenIn(message(len(1, bad), len(1, plain)));
    expect(seen.slice(0, 2)).toMatchObject([
      { at: 0, field: "resource_spans[0].resource" },
      { at: 1, field: "resource_spans[0].resource" },
    ]);
    expect(seen.slice(2)).toEqual(readAlone(plain));
  });

  it("is each one under a scope that is refused, and none of another", () => {
    const badScope = len(1, message(len(1, ""), len(1, "")));
    const frame = message(len(2, message(badScope, len(2, numberedSpan(0)))), len(2, len(2, numberedSpan(1))));
    const seen = seenIn(len(1, frame));
    expect(seen).toMatchObject([{ at: 0, field: "resource_spans[0].scope_spans[0].scope.name" }, {}]);
    expect(seen[1]).toEqual(readAlone(message(len(2, len(2, numberedSpan(1)))))[0]);
  });
});

describe("refusals", () => {
  const refusalsIn = (bytes: Bytes) => seenIn(bytes).filter((span) => "field" in span);
  const detailIn = (refusals: readonly RefusedSpan[]) =>
    refusals.reduce((sum, { field, message: text }) => sum + field.length + text.length, 0);

  it("say why in every place, where spans are of some size", () => {
    const large = message(numberedSpan(0), len(5, "name".repeat(50)), len(9, keyValue("n", intValue(1))));
    const refusals = refusalsIn(batchOf(new Array(1_000).fill(large)));
    expect(refusals).toHaveLength(1_000);
    for (const { field, message: text } of refusals) expect([field, text]).not.toContain("");
  });

  it("say no more than the batch itself and 16 KiB, however many there are, and each keeps its place", () => {
    for (const count of [500, 10_000]) {
      const batch = batchOf(new Array(count).fill(Buffer.of()));
      const refusals = refusalsIn(batch);
      expect(refusals.map(({ at }) => at)).toEqual(Array.from({ length: count }, (_, at) => at));
      expect(refusals[0]!.message).not.toBe("");
      expect(refusals.at(-1)).toEqual({ at: count - 1, field: "", message: "" });
      const most = Math.max(batch.length, 16 * 1024);
      expect(detailIn(refusals)).toBeLessThanOrEqual(most);
      expect(detailIn(refusals)).toBeGreaterThan(most - 200);
    }
  });
});

describe("a batch is refused as a whole, before any span is seen,", () => {
  it.each<[string, Bytes, string]>([
    ["for an unknown field of its ResourceSpans", len(4, ""), "resource_spans[1]"],
    ["for a second resource", message(len(1, ""), len(1, "")), "resource_spans[1].resource"],
    ["for an unknown field of ScopeSpans", len(2, len(9, "")), "resource_spans[1].scope_spans[0]"],
    ["for a span of another wire type", len(2, varint(2, 1)), "resource_spans[1].scope_spans[0].spans"],
    ["for a cut span", len(2, hex("12 05 00")), "resource_spans[1].scope_spans[0].spans[0]"],
  ])("%s", async (_, frame, field) => {
    const bytes = message(len(1, plain), len(1, frame));
    const error = await thrownBy(() => findSpans(bytes, readBatch(bytes)));
    expect(error).toBeKmsError("INVALID_ARGUMENT", field);
  });
});
