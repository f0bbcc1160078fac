/**
 * OTLP JSON to wire bytes, by protobuf's JSON mapping, so that one reader judges both forms. Members are named as in JSON or as in the
 * proto; one that is unknown, or there by both names, is refused. Ids are in hex, as OTLP writes them, or in base64, as protobuf's own
 * printers do: the two have different lengths.
 */
import { canonicalBase64, concat, hexBytes, looseBase64, utf8Bytes } from "./bytes.ts";
import type { JsonTree } from "./json-tree.ts";
import { MalformedError } from "./wire-reader.ts";

type Scalar =
  | "string"
  | "bytes"
  | "bool"
  | "uint32"
  | "fixed32"
  | "int64"
  | "fixed64"
  | "double"
  | "traceId"
  | "spanId";

interface Field {
  number: number;
  type: Scalar | Message | readonly string[];
  isList?: boolean;
  /** Whether it is one of the members of an AnyValue. */
  inOneof?: boolean;
}

/** Fields by the names of the proto. */
type Message = () => Record<string, Field>;

const attributes = (number: number): Field => ({ number, type: keyValue, isList: true });

const anyValue: Message = () => ({
  string_value: { number: 1, type: "string", inOneof: true },
  bool_value: { number: 2, type: "bool", inOneof: true },
  int_value: { number: 3, type: "int64", inOneof: true },
  double_value: { number: 4, type: "double", inOneof: true },
  array_value: { number: 5, type: arrayValue, inOneof: true },
  kvlist_value: { number: 6, type: keyValueList, inOneof: true },
  bytes_value: { number: 7, type: "bytes", inOneof: true },
});
const arrayValue: Message = () => ({ values: { number: 1, type: anyValue, isList: true } });
const keyValueList: Message = () => ({ values: attributes(1) });
const keyValue: Message = () => ({ key: { number: 1, type: "string" }, value: { number: 2, type: anyValue } });
const entityRef: Message = () => ({
  schema_url: { number: 1, type: "string" },
  type: { number: 2, type: "string" },
  id_keys: { number: 3, type: "string", isList: true },
  description_keys: { number: 4, type: "string", isList: true },
});
const resource: Message = () => ({
  attributes: attributes(1),
  dropped_attributes_count: { number: 2, type: "uint32" },
  entity_refs: { number: 3, type: entityRef, isList: true },
});
const scope: Message = () => ({
  name: { number: 1, type: "string" },
  version: { number: 2, type: "string" },
  attributes: attributes(3),
  dropped_attributes_count: { number: 4, type: "uint32" },
});
const event: Message = () => ({
  time_unix_nano: { number: 1, type: "fixed64" },
  name: { number: 2, type: "string" },
  attributes: attributes(3),
  dropped_attributes_count: { number: 4, type: "uint32" },
});
const link: Message = () => ({
  trace_id: { number: 1, type: "traceId" },
  span_id: { number: 2, type: "spanId" },
  trace_state: { number: 3, type: "string" },
  attributes: attributes(4),
  dropped_attributes_count: { number: 5, type: "uint32" },
  flags: { number: 6, type: "fixed32" },
});
const status: Message = () => ({
  message: { number: 2, type: "string" },
  code: { number: 3, type: ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"] },
});
const kinds = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"].map(
  (kind) => `SPAN_KIND_${kind}`,
);
const span: Message = () => ({
  trace_id: { number: 1, type: "traceId" },
  span_id: { number: 2, type: "spanId" },
  trace_state: { number: 3, type: "string" },
  parent_span_id: { number: 4, type: "spanId" },
  name: { number: 5, type: "string" },
  kind: { number: 6, type: kinds },
  start_time_unix_nano: { number: 7, type: "fixed64" },
  end_time_unix_nano: { number: 8, type: "fixed64" },
  attributes: attributes(9),
  dropped_attributes_count: { number: 10, type: "uint32" },
  events: { number: 11, type: event, isList: true },
  dropped_events_count: { number: 12, type: "uint32" },
  links: { number: 13, type: link, isList: true },
  dropped_links_count: { number: 14, type: "uint32" },
  status: { number: 15, type: status },
  flags: { number: 16, type: "fixed32" },
});
const scopeSpans: Message = () => ({
  scope: { number: 1, type: scope },
  spans: { number: 2, type: span, isList: true },
  schema_url: { number: 3, type: "string" },
});
const resourceSpans: Message = () => ({
  resource: { number: 1, type: resource },
  scope_spans: { number: 2, type: scopeSpans, isList: true },
  schema_url: { number: 3, type: "string" },
});

/** Messages nest at most this deep in protobuf's own readers, the export itself counted. */
const maxDepth = 100;

/** The wire bytes of a ResourceSpans in JSON. Throws MalformedError, without what the JSON says. */
export function resourceSpansBytes(json: JsonTree): Uint8Array {
  return encode(resourceSpans, json, 2);
}

const tables = new WeakMap<Message, ReadonlyMap<string, Field>>();

/** The fields of a message by either name. */
function fieldsOf(message: Message): ReadonlyMap<string, Field> {
  const known = tables.get(message);
  if (known !== undefined) return known;
  const fields = new Map<string, Field>();
  for (const [name, field] of Object.entries(message())) {
    fields.set(name, field);
    fields.set(
      name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
      field,
    );
  }
  tables.set(message, fields);
  return fields;
}

function encode(message: Message, json: JsonTree, depth: number): Uint8Array {
  if (depth > maxDepth) throw new MalformedError("the JSON is nested too deeply");
  if (!(json instanceof Map)) throw new MalformedError("an object is missing in the JSON");
  const fields = fieldsOf(message);
  const seen = new Set<Field>();
  const parts: Uint8Array[] = [];
  let hasMember = false;
  for (const [name, value] of json as ReadonlyMap<string, JsonTree>) {
    const field = fields.get(name);
    if (field === undefined) throw new MalformedError("a member of the JSON is unknown: it cannot have been signed");
    if (seen.has(field)) throw new MalformedError(`${name} is there by two names`);
    seen.add(field);
    if (field.inOneof && !(value === null && typeof field.type === "string")) {
      if (hasMember) throw new MalformedError("a value has a second member");
      hasMember = true;
    }
    if (value === null) continue;
    if (!field.isList) parts.push(encodeField(field, name, value, depth));
    else if (!Array.isArray(value)) throw new MalformedError(`${name} must be a list`);
    else for (const item of value as readonly JsonTree[]) parts.push(encodeField(field, name, item, depth));
  }
  return concat(parts);
}

function encodeField({ number, type }: Field, name: string, given: JsonTree, depth: number): Uint8Array {
  // OTLP writes whole numbers of 64 bits as text.
  const value = given !== null && typeof given === "object" && "digits" in given ? given.digits : given;
  if (typeof type === "function") return delimited(number, encode(type, value, depth + 1));
  if (typeof type !== "string") return concat([varint(number << 3), varint(enumNumber(type, name, value))]);
  switch (type) {
    case "string":
      if (typeof value !== "string" || !value.isWellFormed()) throw wrong(name, "text");
      return delimited(number, utf8Bytes(value));
    case "bytes":
      return delimited(number, bytesOf(name, value));
    case "traceId":
      return delimited(number, idOf(name, value, 16));
    case "spanId":
      return delimited(number, idOf(name, value, 8));
    case "bool":
      if (typeof value !== "boolean") throw wrong(name, "true or false");
      return concat([varint(number << 3), varint(value ? 1 : 0)]);
    case "uint32":
      return concat([varint(number << 3), varint(uint32Of(name, value))]);
    case "fixed32":
      return fixed(number, 5, (view) => view.setUint32(0, uint32Of(name, value), true));
    case "int64":
      return concat([varint(number << 3), varint(BigInt.asUintN(64, int64Of(name, value, -(1n << 63n), 1n << 63n)))]);
    case "fixed64":
      return fixed(number, 1, (view) => view.setBigUint64(0, int64Of(name, value, 0n, 1n << 64n), true));
    case "double":
      return fixed(number, 1, (view) => view.setFloat64(0, doubleOf(name, value), true));
  }
}

function bytesOf(name: string, value: JsonTree): Uint8Array {
  const bytes = typeof value === "string" ? looseBase64(value) : undefined;
  if (bytes === undefined) throw wrong(name, "base64");
  return bytes;
}

function idOf(name: string, value: JsonTree, length: number): Uint8Array {
  if (typeof value !== "string") throw wrong(name, "text");
  if (value === "") return new Uint8Array();
  if (value.length === 2 * length && /^[0-9a-f]*$/i.test(value)) return hexBytes(value);
  const standard = value.replaceAll("-", "+").replaceAll("_", "/");
  const padded = standard.endsWith("=") ? standard : standard.padEnd(Math.ceil(value.length / 4) * 4, "=");
  const bytes = value.length === 2 * length ? undefined : canonicalBase64(padded);
  if (bytes?.length !== length) throw wrong(name, `${length} bytes, in hex or base64`);
  return bytes;
}

function enumNumber(names: readonly string[], name: string, value: JsonTree): bigint {
  const number = typeof value === "string" ? names.indexOf(value) : value;
  if (typeof number !== "number" || (typeof value === "string" && number < 0)) throw wrong(name, "one of the enum's");
  if (!Number.isInteger(number) || number < -(2 ** 31) || number >= 2 ** 31) throw wrong(name, "one of the enum's");
  return BigInt.asUintN(64, BigInt(number));
}

function uint32Of(name: string, value: JsonTree): number {
  const number = numberOf(value);
  if (number === undefined || !Number.isInteger(number) || number < 0 || number >= 2 ** 32)
    throw wrong(name, "a number of 32 bits");
  return number;
}

/** From `first` to below `end`. */
function int64Of(name: string, value: JsonTree, first: bigint, end: bigint): bigint {
  let number: bigint | undefined;
  try {
    if (typeof value === "number" || (typeof value === "string" && value !== "")) number = BigInt(value);
  } catch {} // no whole number
  if (number === undefined || number < first || number >= end) throw wrong(name, "a number of 64 bits");
  return number;
}

function doubleOf(name: string, value: JsonTree): number {
  if (value === "NaN" || value === "Infinity" || value === "-Infinity") return Number(value);
  const number = numberOf(value);
  if (number === undefined || !Number.isFinite(number)) throw wrong(name, "a number");
  return number;
}

/** Value of a number, or of its text without space around it. */
function numberOf(value: JsonTree): number | undefined {
  if (typeof value === "number") return value;
  return typeof value === "string" && value !== "" && value.trim() === value ? Number(value) : undefined;
}

function delimited(number: number, content: Uint8Array): Uint8Array {
  return concat([varint((number << 3) | 2), varint(content.length), content]);
}

function fixed(number: number, wireType: 1 | 5, write: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(wireType === 1 ? 8 : 4);
  write(new DataView(bytes.buffer));
  return concat([varint((number << 3) | wireType), bytes]);
}

function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Uint8Array.of(...bytes, Number(rest));
}

function wrong(name: string, form: string): MalformedError {
  return new MalformedError(`${name} must be ${form}`);
}
