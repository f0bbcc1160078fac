/**
 * A span in canonical form: RFC 8785 text of `{"resource": …, "scope": …, "span": …}` under OTLP's JSON names, straight from the wire. A
 * field at its default is left out; elements of lists and values of attributes never are.
 */
import { base64Text, hexText } from "./bytes.ts";
import { eachField, MalformedError, unexpected, type WireReader } from "./wire-reader.ts";

/** The attributes on a span that carry its signature. They are not part of the canonical form. */
export interface Integrity {
  algorithm?: string;
  value?: string;
  key_id?: string;
  tenant?: string;
  signed_at?: string;
}

/** A span as it is signed, and what else its verdict needs. */
export interface ReadSpan {
  /** 32 lower-case hex digits. */
  traceId: string;
  /** 16 lower-case hex digits. */
  spanId: string;
  canonical: string;
  integrity: Integrity;
  /** What was not given, or is empty, and so may be why a span does not match. */
  lacks: string;
}

const prefix = "audit.integrity.";
const integrityNames: readonly string[] = ["algorithm", "value", "key_id", "tenant", "signed_at"];

const maxAttributes = 128;
const maxLevels = 32;
const [traceIdBytes, spanIdBytes] = [16, 8];
const [lastKind, lastStatusCode] = [5, 2];

/** A member's key and the text of its value. */
type Member = [key: string, text: string];

/** The canonical text of a Resource, or "" where nothing of it is covered. */
export function readResource(reader: WireReader): string {
  const attributes: Member[] = [];
  eachField(reader, [10, 26], (tag) => {
    if (tag === 10) addAttribute(attributes, reader.message());
    else if (tag === 16) reader.uint32();
    else if (tag === 26) checkEntityRef(reader.message());
    else throw unexpected(tag);
  });
  return unlessEmpty(objectText(listMember("attributes", attributes)));
}

function checkEntityRef(reader: WireReader): void {
  eachField(reader, [26, 34], (tag) => {
    if (![10, 18, 26, 34].includes(tag)) throw unexpected(tag);
    reader.text();
  });
}

/** The canonical text of an InstrumentationScope, or "". */
export function readScope(reader: WireReader): string {
  const text = readWithAttributes(reader, 26, (tag, members) => {
    if (tag === 10) addText(members, "name", reader.text());
    else if (tag === 18) addText(members, "version", reader.text());
    else if (tag === 32) reader.uint32();
    else throw unexpected(tag);
  });
  return unlessEmpty(text);
}

/** `resource` and `scope` are canonical texts, or "". */
export function readSpan(reader: WireReader, resource: string, scope: string): ReadSpan {
  const attributes: Member[] = [];
  const integrity: Integrity = {};
  const events: string[] = [];
  const links: string[] = [];
  const members: Member[] = [];
  let [traceId, spanId] = ["", ""];
  eachField(reader, [74, 90, 106], (tag) => {
    if (tag === 74) addSpanAttribute(attributes, integrity, reader.message());
    else if (tag === 90) events.push(readEvent(reader.message()));
    else if (tag === 106) links.push(readLink(reader.message()));
    else if (tag === 10) traceId = readId(reader, traceIdBytes);
    else if (tag === 18) spanId = readId(reader, spanIdBytes);
    else if (tag === 26) addText(members, "traceState", reader.text());
    else if (tag === 34) addText(members, "parentSpanId", readId(reader, spanIdBytes));
    else if (tag === 42) addText(members, "name", reader.text());
    else if (tag === 48) addNumber(members, "kind", reader.enum(lastKind));
    else if (tag === 57) addTime(members, "startTimeUnixNano", reader.fixed64());
    else if (tag === 65) addTime(members, "endTimeUnixNano", reader.fixed64());
    else if (tag === 80) addNumber(members, "droppedAttributesCount", reader.uint32());
    else if (tag === 96) addNumber(members, "droppedEventsCount", reader.uint32());
    else if (tag === 112) addNumber(members, "droppedLinksCount", reader.uint32());
    else if (tag === 122) members.push(...readStatus(reader.message()));
    else if (tag === 133) reader.fixed32();
    else throw unexpected(tag);
  });
  if (traceId === "") throw new MalformedError("the span's trace_id is missing or all zero");
  if (spanId === "") throw new MalformedError("the span's span_id is missing or all zero");
  members.push(["traceId", `"${traceId}"`], ["spanId", `"${spanId}"`]);
  if (events.length > 0) members.push(["events", `[${events.join()}]`]);
  if (links.length > 0) members.push(["links", `[${links.join()}]`]);
  const span = objectText([...members, ...listMember("attributes", attributes)]);
  const before = (resource && `"resource":${resource},`) + (scope && `"scope":${scope},`);
  const lacks = [resource === "" ? "resource" : "", scope === "" ? "scope" : ""].filter((name) => name !== "");
  return { traceId, spanId, canonical: `{${before}"span":${span}}`, integrity, lacks: lacks.join(" or ") };
}

/** An event with every field at its default is still there, as {}. */
function readEvent(reader: WireReader): string {
  return readWithAttributes(reader, 26, (tag, members) => {
    if (tag === 9) addTime(members, "timeUnixNano", reader.fixed64());
    else if (tag === 18) addText(members, "name", reader.text());
    else if (tag === 32) addNumber(members, "droppedAttributesCount", reader.uint32());
    else throw unexpected(tag);
  });
}

function readLink(reader: WireReader): string {
  return readWithAttributes(reader, 34, (tag, members) => {
    if (tag === 10) addText(members, "traceId", readId(reader, traceIdBytes));
    else if (tag === 18) addText(members, "spanId", readId(reader, spanIdBytes));
    else if (tag === 26) addText(members, "traceState", reader.text());
    else if (tag === 40) addNumber(members, "droppedAttributesCount", reader.uint32());
    else if (tag === 53) reader.fixed32();
    else throw unexpected(tag);
  });
}

/** The object of a message whose attributes are the field with this tag. `read` takes the other fields. */
function readWithAttributes(
  reader: WireReader,
  attributesTag: number,
  read: (tag: number, members: Member[]) => void,
): string {
  const [attributes, members]: [Member[], Member[]] = [[], []];
  eachField(reader, [attributesTag], (tag) => {
    if (tag === attributesTag) addAttribute(attributes, reader.message());
    else read(tag, members);
  });
  return objectText([...members, ...listMember("attributes", attributes)]);
}

/** None for a status whose fields are all at their default. */
function readStatus(reader: WireReader): Member[] {
  const members: Member[] = [];
  eachField(reader, [], (tag) => {
    if (tag === 18) addText(members, "message", reader.text());
    else if (tag === 24) addNumber(members, "code", reader.enum(lastStatusCode));
    else throw unexpected(tag);
  });
  return members.length === 0 ? [] : [["status", objectText(members)]];
}

/** Lower-case hex; "" for one that is empty or all zero. */
function readId(reader: WireReader, length: number): string {
  const id = reader.bytes();
  if (id.length !== 0 && id.length !== length) throw new MalformedError(`an id has ${length} bytes`);
  return id.every((byte) => byte === 0) ? "" : hexText(id);
}

function addAttribute(attributes: Member[], reader: WireReader): void {
  const { key, text } = readKeyValue(reader, 1);
  if (attributes.length === maxAttributes) throw new MalformedError(`a list has at most ${maxAttributes} attributes`);
  attributes.push([key, text]);
}

/** Those of the signature are taken out, and do not count. */
function addSpanAttribute(attributes: Member[], integrity: Integrity, reader: WireReader): void {
  const { key, text, plain } = readKeyValue(reader, 1);
  if (key.startsWith(prefix)) {
    const name = key.slice(prefix.length) as keyof Integrity;
    if (!integrityNames.includes(name))
      throw new MalformedError(`only the signature's own attributes may begin with ${prefix}`);
    if (integrity[name] !== undefined) throw new MalformedError(`${key} is there twice`);
    if (plain === undefined) throw new MalformedError(`${key} must be a string`);
    integrity[name] = plain;
  } else if (attributes.length === maxAttributes)
    throw new MalformedError(`a list has at most ${maxAttributes} attributes`);
  else attributes.push([key, text]);
}

interface Value {
  text: string;
  /** The string itself, if it is one. */
  plain?: string;
}

/** An attribute, or an entry of a map: their values are at the level of the list. */
function readKeyValue(reader: WireReader, level: number): Value & { key: string } {
  let key = "";
  let value: Value = { text: "null" };
  eachField(reader, [], (tag) => {
    if (tag === 10) key = reader.text();
    else if (tag === 18) value = readValue(reader.message(), level);
    else throw unexpected(tag);
  });
  return { ...value, key };
}

/** An AnyValue; `null` without a member. */
function readValue(reader: WireReader, level: number): Value {
  if (level > maxLevels) throw new MalformedError(`a value is nested deeper than ${maxLevels} levels`);
  let value: Value | undefined;
  for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
    const member = readMember(reader, tag, level);
    if (value !== undefined) throw new MalformedError("a value has a second member");
    value = member;
  }
  return value ?? { text: "null" };
}

function readMember(reader: WireReader, tag: number, level: number): Value {
  switch (tag) {
    case 10: {
      const plain = reader.text();
      return { text: `{"stringValue":${JSON.stringify(plain)}}`, plain };
    }
    case 16:
      return { text: `{"boolValue":${reader.bool()}}` };
    case 24:
      return { text: `{"intValue":"${reader.int64()}"}` };
    case 33:
      return { text: `{"doubleValue":${doubleText(reader.double())}}` };
    case 42:
      return { text: `{"arrayValue":${readArray(reader.message(), level)}}` };
    case 50:
      return { text: `{"kvlistValue":${readMap(reader.message(), level)}}` };
    case 58:
      return { text: `{"bytesValue":"${base64Text(reader.bytes())}"}` };
    default:
      throw unexpected(tag);
  }
}

function readArray(reader: WireReader, level: number): string {
  const values: string[] = [];
  for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
    if (tag !== 10) throw unexpected(tag);
    values.push(readValue(reader.message(), level + 1).text);
  }
  return `[${values.join()}]`;
}

function readMap(reader: WireReader, level: number): string {
  const members: Member[] = [];
  for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
    if (tag !== 10) throw unexpected(tag);
    const { key, text } = readKeyValue(reader.message(), level + 1);
    members.push([key, text]);
  }
  return objectText(members);
}

/** ECMAScript writes a double as RFC 8785 does. What JSON has no number for is a string, as in protobuf's JSON. */
function doubleText(value: number): string {
  return Number.isFinite(value) ? JSON.stringify(value) : `"${value}"`;
}

function addText(members: Member[], key: string, text: string): void {
  if (text !== "") members.push([key, JSON.stringify(text)]);
}

function addNumber(members: Member[], key: string, value: number): void {
  if (value !== 0) members.push([key, String(value)]);
}

/** Adds a time as text, because a double does not hold every one. */
function addTime(members: Member[], key: string, nanoseconds: bigint): void {
  if (nanoseconds !== 0n) members.push([key, `"${nanoseconds}"`]);
}

function listMember(key: string, members: Member[]): Member[] {
  return members.length === 0 ? [] : [[key, objectText(members)]];
}

/** Sorted by UTF-16 code units, as RFC 8785 has it and `<` compares. A key that is there twice is refused. */
function objectText(members: Member[]): string {
  members.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const twice = members.find(([key], i) => key === members[i + 1]?.[0]);
  if (twice !== undefined) throw new MalformedError("a key is there twice in one list");
  return `{${members.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join()}}`;
}

function unlessEmpty(object: string): string {
  return object === "{}" ? "" : object;
}
