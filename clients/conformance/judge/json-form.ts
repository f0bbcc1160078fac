/** OTLP JSON of exports that protobuf reads, in the spellings that writers of it have, and such as must be refused. */
import { fromBinary, toJson } from "@bufbuild/protobuf";
import { SignSpansRequestSchema } from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { Random } from "../../../test/crash/random.ts";

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type Members = { [name: string]: Json };

const idNames = ["traceId", "spanId", "parentSpanId"];

/** Undefined for an export that has no JSON. */
export function jsonOf(bytes: Uint8Array): Members | undefined {
  try {
    return toJson(SignSpansRequestSchema, fromBinary(SignSpansRequestSchema, bytes)) as Members;
  } catch {
    return undefined;
  }
}

/** An export as somebody may write it: ids in hex or base64, enums by name or number, integers as numbers, names of the proto. */
export function spelled(document: Members, r: Random): Members {
  const style = {
    ids: r.below(6),
    integers: r.chance(0.3),
    enums: r.chance(0.3),
    names: r.chance(0.15),
    nulls: r.chance(0.1),
    defaults: r.chance(0.1),
  };
  const enums: Members = {
    ...Object.fromEntries(
      ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"].map((name, i) => [
        `SPAN_KIND_${name}`,
        i,
      ]),
    ),
    ...{ STATUS_CODE_UNSET: 0, STATUS_CODE_OK: 1, STATUS_CODE_ERROR: 2 },
  };
  const visit = (name: string, value: Json): Json => {
    if (Array.isArray(value)) return value.map((item) => visit("", item));
    if (typeof value === "string") {
      if (idNames.includes(name)) return spelledId(value, style.ids, r);
      if (name === "bytesValue") return r.pick([value, unpadded(value), urlSafe(value), unpadded(urlSafe(value))])!;
      if (/^(?:kind|code)$/.test(name) && style.enums) return enums[value] ?? value;
      if (/^(?:intValue|(?:start|end)?[tT]imeUnixNano)$/.test(name) && style.integers)
        return new Integer(value) as unknown as Json;
      return value;
    }
    if (value === null || typeof value !== "object") return value;
    const members = Object.entries(value).map(([member, inner]): [string, Json] => [
      style.names ? member.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) : member,
      visit(member, inner),
    ]);
    if (style.nulls && "spanId" in value && !("traceState" in value)) members.push(["traceState", null]);
    if (style.defaults && "spanId" in value && !("links" in value)) members.push(["links", []]);
    return Object.fromEntries(members);
  };
  return visit("", document) as Members;
}

/** Written as a number, whatever its size. */
class Integer {
  readonly digits: string;

  constructor(digits: string) {
    this.digits = digits;
  }
}

function spelledId(base64: string, style: number, r: Random): string {
  const hex = Buffer.from(base64, "base64").toString("hex");
  if (style === 0) return hex.toUpperCase();
  if (style === 1) return r.pick([base64, unpadded(base64), urlSafe(base64), unpadded(urlSafe(base64))])!;
  return hex;
}

function unpadded(base64: string): string {
  return base64.replace(/=+$/, "");
}

function urlSafe(base64: string): string {
  return base64.replaceAll("+", "-").replaceAll("/", "_");
}

/** JSON text, written by hand: no replacer of JSON.stringify could write a number that no double holds. */
export function written(value: Json | Integer, indent = "", before = "\n"): string {
  if (value instanceof Integer) return value.digits;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const within = indent === "" ? "" : before + indent;
  const items = Array.isArray(value)
    ? value.map((item) => within + written(item, indent, before + indent))
    : Object.entries(value).map(
        ([name, item]) => `${within}${JSON.stringify(name)}:${written(item, indent, before + indent)}`,
      );
  const end = within === "" || items.length === 0 ? "" : before;
  return Array.isArray(value) ? `[${items.join(",")}${end}]` : `{${items.join(",")}${end}}`;
}

const numberOf = (value: Json): Json =>
  typeof value === "string" && /^-?\d{1,15}$/.test(value) ? Number(value) : value;

/** What readers may not take, or take in their own ways. */
export function wrong(document: Members, r: Random): string {
  const text = written(document);
  const member = (name: string) => new RegExp(`"${name}":`);
  const added = (json: string) => text.replace('"spanId":', `${json},"spanId":`);
  return r.pick([
    () => added('"unknown":1'),
    () => added('"events":null'),
    () => added('"flags":257'),
    () => added('"flags":-1'),
    () => added('"flags":4294967296'),
    () => added('"droppedEventsCount":"3"'),
    () => added('"droppedLinksCount":1.5'),
    () => added('"traceState":7'),
    () => added('"name":"twice"'),
    () => added('"links":{}'),
    () => added('"links":[null]'),
    () => added('"attributes":"x"'),
    () => added('"status":[]'),
    () => added('"status":{"code":"STATUS_CODE_NONE"}'),
    () => added('"status":{"code":7}'),
    () => added('"spanId":"0000000000000001"'),
    () => added('"span_id":"0000000000000001"'),
    () => text.replace(member("traceId"), '"trace_id":'),
    () => text.replace(/"traceId":"./, '"traceId":"g'),
    () => text.replace(/"traceId":"../, '"traceId":"'),
    () => text.replace(/"spanId":"[^"]*"/, '"spanId":""'),
    () => text.replace(/"spanId":"[^"]*"/, '"spanId":null'),
    () => text.replace(/"spanId":"[^"]*"/, '"spanId":7'),
    () => text.replace(/"stringValue":"[^"]*"/, '"stringValue":7'),
    () => text.replace(/"stringValue":"[^"]*"/, '"stringValue":null'),
    () => text.replace(/"stringValue":/, '"stringvalue":'),
    () => text.replace(/"stringValue":/, '"intValue":"1","stringValue":'),
    () => text.replace(/"intValue":"?[^",}]*"?/, '"intValue":"9223372036854775808"'),
    () => text.replace(/"intValue":"?[^",}]*"?/, '"intValue":1.5'),
    () => text.replace(/"intValue":"?[^",}]*"?/, '"intValue":"x"'),
    () => text.replace(/"intValue":"?[^",}]*"?/, '"intValue":true'),
    () => text.replace(/"boolValue":(?:true|false)/, '"boolValue":"true"'),
    () => text.replace(/"boolValue":(?:true|false)/, '"boolValue":1'),
    () => text.replace(/"doubleValue":"?[^",}]*"?/, '"doubleValue":"x"'),
    () => text.replace(/"doubleValue":"?[^",}]*"?/, '"doubleValue":"nan"'),
    () => text.replace(/"bytesValue":"[^"]*"/, '"bytesValue":"*"'),
    () => text.replace(/"kind":"?[^",}]*"?/, '"kind":"SERVER"'),
    () => text.replace(/"kind":"?[^",}]*"?/, '"kind":6'),
    () => text.replace(/"key":/, '"key":"a","key":'),
    () => text.replace(/"key":/, '"k\\u0065y":"a","key":'),
    () => text.replace(/"scopeSpans":/, '"schemaUrl":7,"scopeSpans":'),
    () => text.replace(/"scopeSpans":/, '"deprecated":[],"scopeSpans":'),
    () => text.replace(/"scopeSpans":\[/, '"scopeSpans":[{},{"spans":[]},'),
    () => text.replace(/^\{/, '{"more":1,'),
    () => text.replace(/^\{"resource_?[sS]pans":/, '{"spans":'),
    () => text.replace(/\}$/, ""),
    () => `${text}${text}`,
    () => `\ufeff${text}`,
    () => ` \t\r\n${text}\n`,
    () => `[${text}]`,
    () => '{"resourceSpans":{}}',
    () => '{"resourceSpans":[null]}',
    () => '{"resourceSpans":[[]]}',
    () => '{"resourceSpans":[7]}',
    () => '{"resourceSpans":[]}',
    () => '{"resourceSpans":[{}]}',
    () => '{"resource_spans":[{}]}',
    () => "{}",
    () => "null",
    () => "7",
    () => '"text"',
    () => written(Object.fromEntries(Object.entries(document).map(([name, value]) => [name, numberOf(value)]))),
  ])!();
}
