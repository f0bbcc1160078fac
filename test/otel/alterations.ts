/**
 * Every message that differs from a given one in one place: a field changed, emptied or filled, an entry of a list removed, added or
 * altered in turn, two entries of an ordered list swapped, a value turned into each other type of value. Driven by the descriptors, so
 * that a field that the proto gains is altered too.
 */
import { clone, create, type DescField, type DescMessage, equals, type Message } from "@bufbuild/protobuf";
import { type AnyValue, AnyValueSchema } from "../../gen/ts/fluo/kms/v1/span_pb.ts";

export interface Alteration {
  /** Where and what, as in `events[0].name: emptied`. */
  what: string;
  message: Message;
}

/** Accepted and not covered, as span.proto says. */
const notCovered = new Set([
  "fluo.kms.v1.Span.flags",
  "fluo.kms.v1.Span.Link.flags",
  "fluo.kms.v1.Resource.dropped_attributes_count",
  "fluo.kms.v1.Resource.entity_refs",
  "fluo.kms.v1.InstrumentationScope.dropped_attributes_count",
]);

/** Without these a span is refused, which is another matter. */
const required = new Set(["fluo.kms.v1.Span.trace_id", "fluo.kms.v1.Span.span_id"]);

/** The order of these means nothing. */
const unordered = new Set(["attributes", "fluo.kms.v1.KeyValueList.values"]);

type Members = Record<string, unknown>;

const otherValues: AnyValue["value"][] = [
  { case: undefined },
  { case: "stringValue", value: "" },
  { case: "stringValue", value: "0" },
  { case: "boolValue", value: false },
  { case: "boolValue", value: true },
  { case: "intValue", value: 0n },
  { case: "intValue", value: 1n },
  { case: "intValue", value: 2n ** 63n - 1n },
  { case: "doubleValue", value: 0 },
  { case: "doubleValue", value: 1 },
  { case: "doubleValue", value: Number.NaN },
  { case: "bytesValue", value: new Uint8Array() },
  { case: "bytesValue", value: Uint8Array.of(0) },
  { case: "arrayValue", value: create(AnyValueSchema.field.arrayValue.message!) as never },
  { case: "kvlistValue", value: create(AnyValueSchema.field.kvlistValue.message!) as never },
];

export function* alterations(desc: DescMessage, message: Message): Generator<Alteration> {
  if (desc.typeName === AnyValueSchema.typeName) return yield* ofValue(message as AnyValue);
  for (const field of desc.fields) {
    const name = fullName(field);
    if (notCovered.has(name)) continue;
    for (const { what, value } of ofField(field, (message as unknown as Members)[field.localName])) {
      const altered = clone(desc, message);
      (altered as unknown as Members)[field.localName] = value;
      // Absent and empty are the same for a field of its own: what alters nothing is none.
      if (!equals(desc, altered, message)) yield { what: `${field.name}${what}`, message: altered };
    }
  }
}

interface FieldAlteration {
  what: string;
  value: unknown;
}

function* ofField(field: DescField, value: unknown): Generator<FieldAlteration> {
  if (field.fieldKind === "list") return yield* ofList(field, value as Message[]);
  if (field.fieldKind === "message") {
    const present = (value ?? create(field.message)) as Message;
    // No value and a value without a member are both null.
    const isNull = field.message.typeName === AnyValueSchema.typeName && (present as AnyValue).value.case === undefined;
    if (value !== undefined && !isNull) yield { what: ": removed", value: undefined };
    for (const { what, message } of alterations(field.message, present)) yield { what: `.${what}`, value: message };
  } else if (field.fieldKind === "enum") {
    for (const { number } of field.enum.values) yield { what: `: ${number}`, value: number };
  } else {
    yield* ofScalar(value as string | bigint | number | Uint8Array, required.has(fullName(field)));
  }
}

function* ofScalar(value: string | bigint | number | Uint8Array, isRequired: boolean): Generator<FieldAlteration> {
  const changed = { what: ": changed" };
  if (value instanceof Uint8Array) {
    // What is empty becomes the id of a span; no trace's id is empty here.
    const bytes = value.length === 0 ? new Uint8Array(8) : value;
    for (const at of bytes.keys()) {
      yield { what: `: byte ${at} changed`, value: bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)) };
    }
    if (!isRequired) yield { what: ": emptied", value: new Uint8Array() };
  } else if (typeof value === "string") {
    yield { ...changed, value: `${value}~` };
    yield { what: ": another case", value: value.toUpperCase() };
    yield { what: ": emptied", value: "" };
  } else {
    yield { ...changed, value: typeof value === "bigint" ? value + 1n : value + 1 };
    yield { what: ": emptied", value: typeof value === "bigint" ? 0n : 0 };
  }
}

function* ofList(field: DescField & { fieldKind: "list" }, list: readonly Message[]): Generator<FieldAlteration> {
  const entry = field.message!;
  for (const [i, item] of list.entries()) {
    yield { what: `[${i}]: removed`, value: list.toSpliced(i, 1) };
    for (const { what, message } of alterations(entry, item)) {
      yield { what: `[${i}].${what}`, value: list.with(i, message) };
    }
    const next = list[i + 1];
    if (next && !unordered.has(field.name) && !unordered.has(fullName(field))) {
      yield { what: `[${i}]: swapped with the next`, value: list.with(i, next).with(i + 1, item) };
      yield { what: `[${i}]: twice`, value: list.toSpliced(i, 0, item) };
    }
  }
  yield { what: ": emptied", value: [] };
  if (entry.typeName === "fluo.kms.v1.KeyValue") {
    for (const value of otherValues) {
      yield {
        what: `: added ${named(value)}`,
        value: [...list, create(entry, { key: "added", value: { value } } as never)],
      };
    }
    yield { what: ": added without a value", value: [...list, create(entry, { key: "added" } as never)] };
  } else yield { what: ": added an empty one", value: [...list, create(entry)] };
}

function* ofValue(any: AnyValue): Generator<Alteration> {
  for (const value of otherValues) {
    const message = create(AnyValueSchema, { value });
    if (!equals(AnyValueSchema, message, any)) yield { what: named(value), message };
  }
  const { case: name, value } = any.value;
  if (name === undefined) return;
  const field = AnyValueSchema.field[name];
  for (const { what, value: altered } of name === "boolValue" ? [] : ofField(field, value)) {
    const message = create(AnyValueSchema, { value: { case: name, value: altered } as AnyValue["value"] });
    if (altered !== undefined && !equals(AnyValueSchema, message, any)) yield { what: `${field.name}${what}`, message };
  }
}

function named({ case: name, value }: AnyValue["value"]): string {
  return `${name} ${typeof value === "object" ? `of ${value instanceof Uint8Array ? value.length : 0}` : value}`;
}

function fullName(field: DescField): string {
  return `${field.parent.typeName}.${field.name}`;
}
