/**
 * Makes scenario.json and refusals.json: `node clients/conformance/make-scenario.ts`. Every field of every message that can be signed is in
 * the scenario's batch. The refusals are all that the service has, for the fakes of the clients.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type AnyValueSchema,
  type KeyValueSchema,
  ResourceSpansSchema,
  Span_SpanKind,
  SpanStatus_StatusCode,
} from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { refusals } from "./refusals.ts";

type Value = MessageInitShape<typeof AnyValueSchema>;
type Attribute = MessageInitShape<typeof KeyValueSchema>;

const text = (value: string): Value => ({ value: { case: "stringValue", value } });
const bool = (value: boolean): Value => ({ value: { case: "boolValue", value } });
const int = (value: bigint): Value => ({ value: { case: "intValue", value } });
const double = (value: number): Value => ({ value: { case: "doubleValue", value } });
const bytes = (...value: number[]): Value => ({ value: { case: "bytesValue", value: Uint8Array.from(value) } });
const list = (...values: Value[]): Value => ({ value: { case: "arrayValue", value: { values } } });
const map = (...values: Attribute[]): Value => ({ value: { case: "kvlistValue", value: { values } } });
const nothing: Value = {};

const attributes = (values: Readonly<Record<string, Value>>): Attribute[] =>
  Object.entries(values).map(([key, value]) => ({ key, value }));
const id = (bytes: number, fill: number) => new Uint8Array(bytes).fill(fill);

/** A list of lists of lists …, as deep as it may be: 32 levels. */
const nested = (levels: number): Value => (levels === 1 ? text("deep") : list(nested(levels - 1)));

const everyValue = attributes({
  text: text("Zoë, 日本語, 🙂"),
  controls: text('\u0000\u001f\u007f"\\/\u2028\ufeff\u{10ffff}'),
  "empty text": text(""),
  "ключ 鍵 🔑": text("key"),
  "": text("the empty key"),
  true: bool(true),
  false: bool(false),
  zero: int(0n),
  least: int(-(2n ** 63n)),
  most: int(2n ** 63n - 1n),
  unsafe: int(2n ** 53n + 1n),
  fraction: double(0.1),
  tiny: double(Number.MIN_VALUE),
  huge: double(Number.MAX_VALUE),
  large: double(1e21),
  small: double(1e-7),
  "negative zero": double(-0),
  nan: double(Number.NaN),
  infinity: double(Number.POSITIVE_INFINITY),
  "negative infinity": double(Number.NEGATIVE_INFINITY),
  bytes: bytes(0, 1, 254, 255),
  "no bytes": bytes(),
  list: list(text("a"), int(1n), bool(false), double(0), nothing, list(), map()),
  map: map(...attributes({ b: int(2n), a: map(...attributes({ c: list(text("ü"), bytes(7)) })) })),
  "empty list": list(),
  "empty map": map(),
  missing: nothing,
  nested: nested(32),
  constructor: text("another"),
});
// In an object literal a member of that name would be its prototype.
everyValue.push({ key: "__proto__", value: text("an ordinary key") });

const batch = create(ResourceSpansSchema, {
  resource: {
    attributes: attributes({ "service.name": text("décisions"), "host.id": text("h1"), "process.pid": int(4711n) }),
    droppedAttributesCount: 3,
    entityRefs: [
      {
        schemaUrl: "https://example.com/schema",
        type: "host",
        idKeys: ["host.id"],
        descriptionKeys: ["service.name", "process.pid"],
      },
    ],
  },
  schemaUrl: "https://example.com/resource",
  scopeSpans: [
    {
      scope: {
        name: "loans.decisions",
        version: "2.1.0",
        attributes: attributes({ "build.tag": text("β"), list: list(int(1n), int(2n)) }),
        droppedAttributesCount: 1,
      },
      schemaUrl: "https://example.com/scope",
      spans: [
        {
          traceId: id(16, 0x5b),
          spanId: id(8, 0x01),
          parentSpanId: id(8, 0x02),
          traceState: "a=1,b=ü",
          name: "entscheiden ✓",
          kind: Span_SpanKind.SERVER,
          startTimeUnixNano: 1_767_323_045_678_901_234n,
          endTimeUnixNano: 2n ** 64n - 1n,
          attributes: everyValue,
          droppedAttributesCount: 2 ** 32 - 1,
          events: [
            {
              timeUnixNano: 1_767_323_045_678_901_235n,
              name: "bewertet",
              attributes: attributes({ model: text("v7"), score: double(0.25) }),
              droppedAttributesCount: 4,
            },
            { name: "bewertet" },
          ],
          droppedEventsCount: 5,
          links: [
            {
              traceId: id(16, 0xfe),
              spanId: id(8, 0xfd),
              traceState: "c=3",
              attributes: attributes({ why: text("follows from") }),
              droppedAttributesCount: 6,
              flags: 0x301,
            },
            {},
          ],
          droppedLinksCount: 7,
          status: { code: SpanStatus_StatusCode.ERROR, message: "kein Einkommen – ∅" },
          flags: 0xffffffff,
        },
        { traceId: id(16, 0x5b), spanId: id(8, 0x02), name: "root", status: { code: SpanStatus_StatusCode.OK } },
      ],
    },
    {
      scope: { name: "loans.db" },
      spans: [
        {
          traceId: id(16, 0x5b),
          spanId: id(8, 0x03),
          name: "SELECT",
          kind: Span_SpanKind.CLIENT,
          attributes: Array.from({ length: 128 }, (_, i) => ({ key: `k${i}`, value: int(BigInt(i)) })),
        },
      ],
    },
    { spans: [{ traceId: id(16, 0xff), spanId: id(8, 0xff) }] },
  ],
});

const base64 = (value: Uint8Array | string) => Buffer.from(value).toString("base64");

const scenario = {
  tenant: "conformance",
  batch: base64(toBinary(ResourceSpansSchema, batch)),
  spans: batch.scopeSpans.reduce((sum, { spans }) => sum + spans.length, 0),
  fields: [
    { name: "email", value: base64("ann@example.com") },
    { name: "note", value: base64("Grüße 🙂 für Zoë") },
    { name: "empty", value: "" },
    { name: "photo", value: base64(Uint8Array.of(0xff, 0xd8, 0x00, 0x80)) },
  ],
  context: { table: "customers", Größe: "ß", 鍵: "値", "": "" },
  record: {
    id: "customer-17",
    email: "zoë@例え.jp",
    note: base64(Uint8Array.of(0, 1, 254, 255)),
    alias: "",
    phone: null,
  },
  file: base64(Uint8Array.from({ length: 40_000 }, (_, i) => (31 * i + Math.floor(i / 251)) % 256)),
  refused: { tenant: "Acme Ltd", code: "INVALID_ARGUMENT", reason: "INVALID_ARGUMENT", field: "tenant_id" },
};
writeFileSync(join(import.meta.dirname, "scenario.json"), `${JSON.stringify(scenario, null, 2)}\n`);
writeFileSync(join(import.meta.dirname, "refusals.json"), `${JSON.stringify(refusals, null, 2)}\n`);
