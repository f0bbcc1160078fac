/**
 * OTLP's KeyValue and AnyValue in canonical form: each value typed, as `{"intValue":"5"}`; an array as a list and a map as an object of
 * typed values; `null` where there is no value or no member. Nothing here is left out for being at its default.
 */
import { doubleJson, type Entry, joined, sortedMembers } from "./json.ts";
import { type FieldNames, inField, refused, refusedAt, unexpectedTag } from "./refusal.ts";
import { readJsonString, readString } from "./text.ts";
import { type Cursor, readBool, readBytes, readDouble, readEnd, readInt64, readTag } from "./wire.ts";

/** An attribute's own value is at level 1, what it holds at level 2. */
const maxLevels = 32;

const keyValueFields: FieldNames = [undefined, "key", "value"];
const anyValueFields: FieldNames = [
  undefined,
  "string_value",
  "bool_value",
  "int_value",
  "double_value",
  "array_value",
  "kvlist_value",
  "bytes_value",
];
const valuesFields: FieldNames = [undefined, "values"];

/** One attribute, or one entry of a map when `level` is above 1; `index` is its place in the list. */
export function readKeyValue(c: Cursor, end: number, index: number, level = 1): Entry {
  let key = "";
  let name: string | undefined;
  let value: string | undefined;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag === 10 && name === undefined) {
        key = readString(c, end);
        name = c.plain ? `"${key}"` : JSON.stringify(key);
      } else if (tag === 18 && value === undefined) {
        value = readAnyValue(c, readEnd(c, end), level);
      } else {
        throw tag === 10 || tag === 18 ? refused("is there twice; send it once") : unexpectedTag(tag, keyValueFields);
      }
    }
  } catch (error) {
    throw inField(error, keyValueFields, tag);
  }
  return { key, name: name ?? '""', value: value ?? "null", index };
}

/** The members of the object that a list of attributes or a map is, sorted. Reports a key that is there twice. */
export function membersOf(entries: Entry[], list: string): string {
  const members = sortedMembers(entries);
  if (typeof members === "string") return members;
  throw refusedAt(`${list}[${members.index}].key`, "another entry of this list has the same key; keep one");
}

function readAnyValue(c: Cursor, end: number, level: number): string {
  if (level > maxLevels) throw refused(`is nested deeper than ${maxLevels} levels; flatten it`);
  let json: string | undefined;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      const member = readMember(c, end, tag, level);
      if (json !== undefined) throw refused("the value has a second member; it is one of them");
      json = member;
    }
  } catch (error) {
    throw inField(error, anyValueFields, tag);
  }
  return json ?? "null";
}

function readMember(c: Cursor, end: number, tag: number, level: number): string {
  switch (tag) {
    case 10:
      return `{"stringValue":${readJsonString(c, end)}}`;
    case 16:
      return readBool(c, end) ? '{"boolValue":true}' : '{"boolValue":false}';
    case 24:
      return `{"intValue":"${readInt64(c, end)}"}`;
    case 33:
      return `{"doubleValue":${doubleJson(readDouble(c, end))}}`;
    case 42:
      return `{"arrayValue":[${readArray(c, readEnd(c, end), level)}]}`;
    case 50:
      return `{"kvlistValue":{${readMap(c, readEnd(c, end), level)}}}`;
    case 58:
      return `{"bytesValue":"${readBytes(c, end).toString("base64")}"}`;
    default:
      throw unexpectedTag(tag, anyValueFields);
  }
}

function readArray(c: Cursor, end: number, level: number): string {
  let elements = "";
  let count = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag !== 10) throw unexpectedTag(tag, valuesFields);
      elements = joined(elements, readAnyValue(c, readEnd(c, end), level + 1));
      count += 1;
    }
  } catch (error) {
    throw inField(error, valuesFields, tag, count);
  }
  return elements;
}

function readMap(c: Cursor, end: number, level: number): string {
  const entries: Entry[] = [];
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag !== 10) throw unexpectedTag(tag, valuesFields);
      entries.push(readKeyValue(c, readEnd(c, end), entries.length, level + 1));
    }
  } catch (error) {
    throw inField(error, valuesFields, tag, entries.length);
  }
  return membersOf(entries, "values");
}
