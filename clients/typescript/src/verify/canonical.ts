/**
 * A span in canonical form: RFC 8785 text of `{"resource": …, "scope": …, "span": …}` under OTLP's JSON names. A field at its default is
 * left out; elements of lists and values of attributes never are.
 */
import { base64Text, hexText } from "./bytes.ts";
import { MalformedError, tried } from "./malformed.ts";
import { type Field, keyValue, type Message, type MessageType, resource, scope, span, type Value } from "./otlp.ts";

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
  name: string;
  canonical: string;
  integrity: Integrity;
  /** What was not given, or is empty, and so may be why a span does not match. */
  lacks: string;
}

const prefix = "audit.integrity.";
const integrityNames: readonly string[] = ["algorithm", "value", "key_id", "tenant", "signed_at"];
/** Kept for what may belong to a signature later. */
const reservedPrefix = `${prefix}fluo.`;

const maxAttributes = 128;
const maxLevels = 32;
const idBytes = { traceId: 16, spanId: 8 };

/** A member's key and the text of its value. */
type Member = [key: string, text: string];

/** The canonical text of a Resource, or "" where nothing of it is covered. */
export function resourceText(message: Message | undefined): string {
  return message === undefined ? "" : unlessEmpty(messageText(resource, message));
}

/** The canonical text of an InstrumentationScope, or "". */
export function scopeText(message: Message | undefined): string {
  return message === undefined ? "" : unlessEmpty(messageText(scope, message));
}

/** `ofResource` and `ofScope` are canonical texts, or "". */
export function readSpan(message: Message, ofResource: string, ofScope: string): ReadSpan {
  const { attributes, integrity } = takeIntegrity(message.get("attributes") as readonly Message[] | undefined);
  const members = membersOf(span, new Map([...message, ["attributes", attributes]]));
  const [traceId, spanId] = ["traceId", "spanId"].map((name) =>
    members.find(([key]) => key === name)?.[1].slice(1, -1),
  );
  if (traceId === undefined) throw new MalformedError("the span's trace_id is missing or all zero");
  if (spanId === undefined) throw new MalformedError("the span's span_id is missing or all zero");
  const before = (ofResource && `"resource":${ofResource},`) + (ofScope && `"scope":${ofScope},`);
  const lacks = [ofResource === "" ? "resource" : "", ofScope === "" ? "scope" : ""].filter((name) => name !== "");
  const canonical = `{${before}"span":${objectText(members)}}`;
  const name = (message.get("name") ?? "") as string;
  return { traceId, spanId, name, canonical, integrity, lacks: lacks.join(" or ") };
}

/** Reads the spans of a ResourceSpans, in order. A fault in a resource, a scope or a span stands in the place of each span that it touches. */
export function spansOf(resourceSpans: Message): (() => ReadSpan | MalformedError)[] {
  const ofResource = tried(() => resourceText(part(resourceSpans, "resource")?.()));
  return ((resourceSpans.get("scopeSpans") ?? []) as readonly Message[]).flatMap((scopeSpans) => {
    const ofScope = tried(() => scopeText(part(scopeSpans, "scope")?.()));
    return ((scopeSpans.get("spans") ?? []) as readonly (() => Message)[]).map((read) => () => {
      if (ofResource instanceof MalformedError) return ofResource;
      if (ofScope instanceof MalformedError) return ofScope;
      return tried(() => readSpan(read(), ofResource, ofScope));
    });
  });
}

function part(message: Message, name: string): (() => Message) | undefined {
  return message.get(name) as (() => Message) | undefined;
}

/** Takes the attributes of the signature out, which do not count. */
function takeIntegrity(all: readonly Message[] = []): { attributes: Message[]; integrity: Integrity } {
  const [attributes, integrity]: [Message[], Integrity] = [[], {}];
  for (const attribute of all) {
    const key = (attribute.get("key") ?? "") as string;
    if (key.startsWith(reservedPrefix))
      throw new MalformedError(`names that begin with ${reservedPrefix} are reserved; name it otherwise`);
    const name = key.slice(prefix.length) as keyof Integrity;
    if (!key.startsWith(prefix) || !integrityNames.includes(name)) attributes.push(attribute);
    else {
      if (integrity[name] !== undefined) throw new MalformedError(`${key} is there twice`);
      const value = (attribute.get("value") as Message | undefined)?.get("stringValue") as string | undefined;
      if (value === undefined) throw new MalformedError(`${key} must be a string`);
      integrity[name] = value;
    }
  }
  return { attributes, integrity };
}

function messageText(type: MessageType, message: Message): string {
  return objectText(membersOf(type, message));
}

/** Those that are signed and not at their default. */
function membersOf(type: MessageType, message: Message): Member[] {
  return Array.from(message, ([name, value]): Member => [name, fieldText(type.byName.get(name)!, value)]).filter(
    ([, text]) => text !== "",
  );
}

/** "" for a field that is at its default, or not signed. */
function fieldText({ type, name, isList, isSigned }: Field, value: Value): string {
  if (!isSigned) return "";
  if (typeof type === "function") {
    const inner = type();
    if (inner === keyValue) return unlessEmpty(attributesText(value as readonly Message[]));
    if (!isList) return unlessEmpty(messageText(inner, value as Message));
    const items = (value as readonly Message[]).map((item) => messageText(inner, item));
    return items.length === 0 ? "" : `[${items.join()}]`;
  }
  switch (type) {
    case "text":
      return value === "" ? "" : JSON.stringify(value);
    case "traceId":
    case "spanId":
      return idText(value as Uint8Array, idBytes[type]);
    case "fixed64":
      // A double does not hold every time.
      return value === 0n ? "" : `"${value}"`;
    case "uint32":
      return value === 0n ? "" : String(value);
    default:
      if ((value as bigint) < 0n || (value as bigint) >= type.length)
        throw new MalformedError(`${name} is no number of the enum`);
      return value === 0n ? "" : String(value);
  }
}

/** "" for an id that is empty or all zero. */
function idText(id: Uint8Array, length: number): string {
  if (id.length !== 0 && id.length !== length) throw new MalformedError(`an id has ${length} bytes`);
  return id.every((byte) => byte === 0) ? "" : `"${hexText(id)}"`;
}

function attributesText(attributes: readonly Message[]): string {
  if (attributes.length > maxAttributes) throw new MalformedError(`a list has at most ${maxAttributes} attributes`);
  return mapText(attributes, 1);
}

/** The object of attributes, or of the entries of a map, whose values are at this level. */
function mapText(entries: readonly Message[], level: number): string {
  return objectText(
    entries.map((entry) => [
      (entry.get("key") ?? "") as string,
      valueText(entry.get("value") as Message | undefined, level),
    ]),
  );
}

/** An AnyValue; `null` without a member. */
function valueText(value: Message | undefined, level: number): string {
  if (value === undefined) return "null";
  if (level > maxLevels) throw new MalformedError(`a value is nested deeper than ${maxLevels} levels`);
  const [[name, member] = []] = value;
  return name === undefined ? "null" : `{"${name}":${memberText(name, member!, level)}}`;
}

function memberText(name: string, member: Value, level: number): string {
  switch (name) {
    case "arrayValue": {
      const values = ((member as Message).get("values") ?? []) as readonly Message[];
      return `[${values.map((each) => valueText(each, level + 1)).join()}]`;
    }
    case "kvlistValue":
      return mapText(((member as Message).get("values") ?? []) as readonly Message[], level + 1);
    case "bytesValue":
      return `"${base64Text(member as Uint8Array)}"`;
    case "intValue":
      return `"${member}"`;
    case "doubleValue":
      // ECMAScript writes a double as RFC 8785 does. What JSON has no number for is a string, as in protobuf's JSON.
      return Number.isFinite(member) ? JSON.stringify(member) : `"${member}"`;
    default:
      return JSON.stringify(member);
  }
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
