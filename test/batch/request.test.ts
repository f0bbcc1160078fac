import { describe, expect, it } from "vitest";
import { readBatch } from "../../src/batch/request.ts";
import { exportSpan } from "../otel/exported-span.ts";
import { thrownBy } from "../support/matchers.ts";
import { type Bytes, fixed32, hex, len, message, span, varint } from "../support/otlp-wire.ts";

const resourceSpans = (name: string) => len(2, len(2, span(len(5, name))));

/** The ResourceSpans that were found. */
const found = (bytes: Bytes) => readBatch(bytes).resourceSpans.map(({ start, end }) => bytes.slice(start, end));

describe("a batch", () => {
  it("says who asks for what, and where its ResourceSpans lie", () => {
    const bytes = message(
      len(1, resourceSpans("a")),
      len(2, "acme"),
      varint(3, 2),
      len(1, resourceSpans("b")),
      len(4, "batch-1"),
    );
    expect(readBatch(bytes)).toMatchObject({ tenantId: "acme", mode: "LOG", requestId: "batch-1" });
    expect(found(bytes)).toEqual([resourceSpans("a"), resourceSpans("b")]);
    expect(readBatch(varint(3, 1)).mode).toBe("INDIVIDUAL");
    expect([varint(5, 1), varint(5, 0)].map((each) => readBatch(each).withAttributes)).toEqual([true, false]);
  });

  it("may leave all of it out, as later messages of a stream do", () => {
    expect(readBatch(hex(""))).toEqual({
      tenantId: "",
      mode: undefined,
      requestId: "",
      withAttributes: false,
      resourceSpans: [],
    });
    expect(readBatch(varint(3, 0)).mode).toBeUndefined();
  });

  it("is the body of an OTLP export, with or without a tenant behind it", async () => {
    const { body } = await exportSpan();
    expect(readBatch(body)).toMatchObject({ tenantId: "", resourceSpans: [{ start: 3, end: body.length }] });
    expect(readBatch(message(body, len(2, "acme")))).toMatchObject({
      tenantId: "acme",
      resourceSpans: [{ start: 3, end: body.length }],
    });
  });

  it("leaves what is inside its ResourceSpans unread", () => {
    expect(found(len(1, hex("ff")))).toEqual([hex("ff")]);
  });

  it("is read from bytes in the middle of a buffer", () => {
    const padded = message(hex("ffff"), len(1, "x"), len(2, "acme"), hex("ffff"));
    expect(readBatch(padded.subarray(2, -2))).toEqual(readBatch(message(len(1, "x"), len(2, "acme"))));
  });

  it.each<[string, Bytes, string]>([
    ["a second tenant_id", message(len(2, "acme"), len(2, "acme")), "tenant_id"],
    ["a second mode", message(varint(3, 1), varint(3, 1)), "mode"],
    ["a second request_id", message(len(4, "a"), len(4, "a")), "request_id"],
    ["an unknown mode", varint(3, 3), "mode"],
    ["a tenant_id that is not UTF-8", len(2, hex("ff")), "tenant_id"],
    ["a request_id with a space", len(4, "a b"), "request_id"],
    ["a request_id of 129 bytes", len(4, "a".repeat(129)), "request_id"],
    ["a second with_attributes", message(varint(5, 1), varint(5, 1)), "with_attributes"],
    ["a with_attributes that is neither true nor false", varint(5, 2), "with_attributes"],
    ["with_attributes of a wrong wire type", len(5, ""), "with_attributes"],
    ["an unknown field", len(6, ""), "request"],
    ["a field 0", hex("00"), "request"],
    ["a cut tag", hex("80"), "request"],
    ["resource_spans of a wrong wire type", fixed32(1, 1), "resource_spans"],
    ["a tenant_id of a wrong wire type", varint(2, 1), "tenant_id"],
    ["cut resource_spans", message(len(1, ""), hex("0a 02 00")), "resource_spans[1]"],
    ["a group", hex("0b 0c"), "resource_spans"],
  ])("is refused with %s", async (_, bytes, field) => {
    expect(await thrownBy(() => readBatch(bytes))).toBeKmsError("INVALID_ARGUMENT", field);
  });
});
