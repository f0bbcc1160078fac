/** What the span reader refuses (design §7), as a gRPC caller sees it: the status, the field, and no key made. */
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { failureOf, type RunningService, startService } from "../support/running-service.ts";
import {
  arrayValue,
  type Bytes,
  fixed32,
  fixed64,
  hex,
  intValue,
  keyValue,
  len,
  message,
  span,
  spanId,
  stringValue,
  traceId,
  varint,
} from "../support/otlp-wire.ts";
import { expectNoKeys, expectNoStack } from "../support/api-fixture.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

const tenantId = "refused";
const requestOf = (tenant: string, spanBytes: Bytes, ...fields: Bytes[]) =>
  message(len(1, tenant), len(2, spanBytes), ...fields);
const request = (spanBytes: Bytes, ...fields: Bytes[]) => requestOf(tenantId, spanBytes, ...fields);
const attribute = (value: Bytes) => len(9, keyValue("a", value));
const deep = (levels: number) => {
  let value = stringValue("x");
  for (let level = 1; level < levels; level += 1) value = arrayValue(value);
  return value;
};
const zeros = (count: number) => new Uint8Array(count);
const twice = (bytes: Bytes) => message(bytes, bytes);
const ids = (trace: Bytes, id: Bytes) => message(len(1, trace), len(2, id));

const cases: [string, Bytes, string][] = [
  ["an unknown field of the request", request(span(), len(9, "")), "request"],
  ["an unknown field of the span", request(span(len(17, ""))), "span"],
  ["an unknown field of the resource", request(span(), len(3, len(4, ""))), "resource"],
  ["an unknown field of the scope", request(span(), len(4, len(5, ""))), "scope"],
  ["an unknown field of an event", request(span(len(11, len(5, "")))), "span.events[0]"],
  ["an unknown field of a link", request(span(len(13, varint(7, 1)))), "span.links[0]"],
  ["an unknown field of the status", request(span(len(15, varint(1, 1)))), "span.status"],
  ["key_strindex", request(span(len(9, varint(3, 1)))), "span.attributes[0]"],
  ["string_value_strindex", request(span(attribute(varint(8, 1)))), "span.attributes[0].value"],
  ["field 0", request(span(hex("02 00"))), "span"],
  ["a second tenant_id", request(span(), len(1, tenantId)), "tenant_id"],
  ["a second span", request(span(), len(2, span())), "span"],
  ["a second resource", request(span(), twice(len(3, ""))), "resource"],
  ["a second scope", request(span(), twice(len(4, ""))), "scope"],
  ["a second name of the scope", request(span(), len(4, twice(len(1, "lib")))), "scope.name"],
  [
    "a second dropped count of the resource",
    request(span(), len(3, twice(varint(2, 1)))),
    "resource.dropped_attributes_count",
  ],
  ["a second trace_id", request(span(len(1, hex(traceId)))), "span.trace_id"],
  ["a second name", request(span(twice(len(5, "n")))), "span.name"],
  ["a second status", request(span(twice(len(15, "")))), "span.status"],
  ["a second status code", request(span(len(15, twice(varint(3, 1))))), "span.status.code"],
  ["a second name of an event", request(span(len(11, twice(len(2, "e"))))), "span.events[0].name"],
  ["a second span_id of a link", request(span(len(13, twice(len(2, hex(spanId)))))), "span.links[0].span_id"],
  ["a second key of an attribute", request(span(len(9, twice(len(1, "a"))))), "span.attributes[0].key"],
  ["a second value of an attribute", request(span(len(9, twice(len(2, ""))))), "span.attributes[0].value"],
  [
    "a second member of a oneof",
    request(span(attribute(message(stringValue("x"), intValue(1))))),
    "span.attributes[0].value.int_value",
  ],
  ["a wrong wire type", request(span(varint(5, 1))), "span.name"],
  ["a wrong wire type of a value", request(span(attribute(fixed64(3, 1n)))), "span.attributes[0].value.int_value"],
  ["a wrong wire type of flags", request(span(varint(16, 1))), "span.flags"],
  ["a group", request(span(hex("2b 2c"))), "span.name"],
  ["a name that is not UTF-8", request(span(len(5, hex("ff")))), "span.name"],
  ["a tenant_id that is not UTF-8", message(len(1, hex("ff")), len(2, span())), "tenant_id"],
  ["a key that is not UTF-8", request(span(len(9, len(1, hex("c080"))))), "span.attributes[0].key"],
  [
    "a varint of eleven bytes",
    request(span(attribute(hex("18 8080808080808080808000")))),
    "span.attributes[0].value.int_value",
  ],
  [
    "a varint past 64 bits",
    request(span(attribute(hex("18 ffffffffffffffffff02")))),
    "span.attributes[0].value.int_value",
  ],
  ["a tag of six bytes", request(span(hex("aa8080808000 00"))), "span"],
  ["a length past 32 bits", request(span(hex("2a 8080808010"))), "span.name"],
  ["a length past its message", request(span(hex("2a 7f"))), "span.name"],
  ["a bool of 2", request(span(attribute(varint(2, 2)))), "span.attributes[0].value.bool_value"],
  ["an unknown kind", request(span(varint(6, 6))), "span.kind"],
  ["an unknown status code", request(span(len(15, varint(3, 3)))), "span.status.code"],
  ["a count past 32 bits", request(span(varint(10, 2n ** 32n))), "span.dropped_attributes_count"],
  ["an attribute key that is there twice", request(span(twice(len(9, keyValue("a"))))), "span.attributes[1].key"],
  [
    "__proto__ as an attribute key, twice",
    request(span(twice(len(9, keyValue("__proto__"))))),
    "span.attributes[1].key",
  ],
  [
    "a resource's key that is there twice",
    request(span(), len(3, twice(len(1, keyValue("a"))))),
    "resource.attributes[1].key",
  ],
  [
    "129 attributes",
    request(span(...Array.from({ length: 129 }, (_, i) => len(9, keyValue(`k${i}`))))),
    "span.attributes[128]",
  ],
  ["an all-zero trace_id", request(ids(zeros(16), hex(spanId))), "span.trace_id"],
  ["an all-zero span_id", request(ids(hex(traceId), zeros(8))), "span.span_id"],
  ["no trace_id", request(len(2, hex(spanId))), "span.trace_id"],
  ["a trace_id of 17 bytes", request(ids(message(hex(traceId), hex("01")), hex(spanId))), "span.trace_id"],
  ["a trace_id of 8 bytes", request(ids(hex(spanId), hex(spanId))), "span.trace_id"],
  ["a span_id of 16 bytes", request(ids(hex(traceId), hex(traceId))), "span.span_id"],
  ["a parent_span_id of 7 bytes", request(span(len(4, zeros(7)))), "span.parent_span_id"],
  ["a link's trace_id of 8 bytes", request(span(len(13, len(1, hex(spanId))))), "span.links[0].trace_id"],
  [
    "a value nested 33 deep",
    request(span(attribute(deep(33)))),
    `span.attributes[0].value${".array_value.values[0]".repeat(32)}`,
  ],
  [
    "a value nested 10,000 deep",
    request(span(attribute(deep(10_000)))),
    `span.attributes[0].value${".array_value.values[0]".repeat(32)}`,
  ],
  [
    "an attribute of a reserved name",
    request(span(len(9, keyValue("audit.integrity.fluo.x", stringValue("1"))))),
    "span.attributes[0].key",
  ],
  ["no span", len(1, tenantId), "span"],
  ["nothing at all", hex(""), "span"],
  ["a cut tag", request(span(), hex("80")), "request"],
];

describe.each(["signSpan", "verifySpan"] as const)("%s over gRPC", (method) => {
  it.each(cases)("refuses %s", async (_what, bytes, field) => {
    const failure = await failureOf(kms.grpc.raw(method, bytes));
    expect(failure).toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
      fields: [field],
      reason: "INVALID_ARGUMENT",
    });
    expectNoStack(failure.message);
    expect(failure.message.length).toBeLessThan(2048);
  });
});

describe("VerifySpan over gRPC", () => {
  it.each([
    ["both kinds of evidence", message(len(5, ""), len(6, "")), "log_proof"],
    ["a second signed statement", twice(len(5, "")), "signed_statement"],
    ["an unknown field of the signed statement", len(5, len(3, "")), "signed_statement"],
    ["a proof that is not UTF-8", len(6, len(2, hex("ff"))), "log_proof.proof"],
  ])("refuses %s", async (_what, evidence, field) => {
    const failure = await failureOf(kms.grpc.raw("verifySpan", request(span(), evidence)));
    expect(failure).toMatchObject({ code: grpc.status.INVALID_ARGUMENT, fields: [field] });
  });
});

describe("after all that", () => {
  it("no key was made for the tenant", () => expectNoKeys(kms, tenantId));

  it("the forms that change no value are signed: any order, padded varints, defaults, 32 levels, flags", async () => {
    const good = requestOf(
      "signed",
      span(len(5, ""), varint(6, 3, 8), fixed32(16, 257), attribute(deep(32))),
      len(3, ""),
      len(4, varint(4, 1)),
    );
    expect((await kms.grpc.raw("signSpan", good)).length).toBeGreaterThan(64);
  });
});
