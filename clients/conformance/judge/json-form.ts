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
    STATUS_CODE_UNSET: 0,
    STATUS_CODE_OK: 1,
    STATUS_CODE_ERROR: 2,
  };
  const visit = (name: string, value: Json): Json => {
    if (Array.isArray(value)) return value.map((item) => visit("", item));
    if (typeof value === "string") {
      if (idNames.includes(name)) return spelledId(value, style.ids, r);
      if (name === "bytesValue") return r.pick([value, unpadded(value), urlSafe(value), unpadded(urlSafe(value))])!;
      if (/^(?:kind|code)$/.test(name) && style.enums) return enums[value] ?? value;
      if (/^(?:intValue|(?:start|end)?[tT]imeUnixNano)$/.test(name) && style.integers) return respelled(value, r);
      return value;
    }
    if (typeof value === "number" && style.integers && name !== "")
      return respelled(name === "doubleValue" ? JSON.stringify(value) : String(value), r);
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

/** A number's token, written as it is. */
class Token {
  readonly spelling: string;

  constructor(spelling: string) {
    this.spelling = spelling;
  }
}

/** The same number as another text, in a string or not. */
function respelled(number: string, r: Random): Json {
  const [, sign = "", whole = "0", , fraction = "", exponent = "0"] =
    /^(-?)(\d+)(\.(\d+))?(?:[eE]([-+]?\d+))?$/.exec(number) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+(?=\d)/, "");
  const point = Number(exponent) - fraction.length;
  const scientific = `${sign}${digits[0]}${digits.length > 1 ? `.${digits.slice(1)}` : ""}`;
  const spelling = r.pick([
    number,
    number,
    `${sign}${digits}e${point}`,
    digits === "0" ? "0E-2" : `${sign}${digits}00E${point - 2}`,
    `${scientific}e+${point + digits.length - 1}`.replace("+-", "-"),
    ...(point === 0 ? [`${sign}${digits}.0`, `${sign}${digits}.000e0`, `${sign}0.${digits}e${digits.length}`] : []),
  ])!;
  return r.chance(0.5) ? spelling : (new Token(spelling) as unknown as Json);
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
export function written(value: Json | Token, indent = "", before = "\n"): string {
  if (value instanceof Token) return value.spelling;
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

const numberLetters = [
  ..."0123456789",
  ..."00112233",
  "-",
  "+",
  ".",
  "e",
  "E",
  "x",
  "_",
  " ",
  ",",
  "n",
  "f",
  "\\u0661",
  "\\n",
  "\ufeff",
];

/** What may be a number, and mostly is none. */
function oddNumber(r: Random): string {
  const known = [
    ...[
      "17",
      "1.0",
      "1e2",
      "-0",
      "0e9999999999",
      "1e400",
      "1e-400",
      "1e99999999999",
      "9223372036854775808.0",
      "0x10",
      "0b1",
      "0o7",
    ],
    ...[
      "+17",
      " 17",
      "17 ",
      "017",
      "1_0",
      "1.",
      ".5",
      "",
      "-",
      "NaN",
      "Infinity",
      "-Infinity",
      "inf",
      "nan",
      "null",
      "true",
    ],
    ...[
      "18446744073709551616",
      "-9223372036854775809",
      "4294967296",
      "1.7976931348623159e308",
      "2.4703282292062327e-324",
    ],
  ];
  const text = r.chance(0.5)
    ? r.pick(known)!
    : Array.from({ length: 1 + r.below(6) }, () => r.pick(numberLetters)).join("");
  return r.chance(0.6) ? `"${text}"` : text;
}

/** A document of which one number is another token. */
function withOddNumber(text: string, r: Random): string {
  const token = oddNumber(r);
  const member = r.pick(["flags", "droppedEventsCount", "startTimeUnixNano", "kind", "endTimeUnixNano"])!;
  const value = r.pick(["intValue", "doubleValue"])!;
  return r.pick([
    () => text.replace(/"spanId":/, `"${member}":${token},"spanId":`),
    () => text.replace(new RegExp(`"${member}":"?[^",}]*"?`), `"${member}":${token}`),
    () => text.replace(new RegExp(`"${value}":"?[^",}]*"?`), `"${value}":${token}`),
    () => text.replace(/"attributes":\[/, `"attributes":[{"key":"odd","value":{"${value}":${token}}},`),
  ])!();
}

/** What readers may not take, or take in their own ways. */
export function wrong(document: Members, r: Random): string {
  const text = written(document);
  const member = (name: string) => new RegExp(`"${name}":`);
  const added = (json: string) => text.replace('"spanId":', `${json},"spanId":`);
  if (r.chance(0.4)) return withOddNumber(text, r);
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
    () => `\ufeff\ufeff${text}`,
    () => `${text}\n\ufeff\n${text}`,
    () => `${text}\n${r.pick(["\u00a0", "\u3000", "\u2028", "\f", "\v", "\u0085", "\u0000", "\ufeff"])}\n${text}`,
    () => `${text}${r.pick(["\u00a0", "\u2029", "\f", "\ufeff"])}`,
    () => `${text}\n \t\r\n${text}`,
    () =>
      text.replace(
        /"bytesValue":"[^"]*"/,
        `"bytesValue":"${r.pick(["QR==", "QQ=", "QQ===", " QQ==", "QQ\\n==", "QQ==QQ==", "Q", "=", "QQ"])}"`,
      ),
    () => text.replace(/"name":"[^"]*"/, `"name":${r.pick(["9007199254740993", "17", "1e2", "true"])}`),
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
