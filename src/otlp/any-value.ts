/**
 * OTLP's KeyValue and AnyValue in canonical form: each value typed, as `{"intValue":"5"}`; an array as a list and a map as an object of
 * typed values; `null` where there is no value or no member. Nothing here is left out for being at its default.
 */
import { writeBase64 } from "../encoding/base64.ts";
import {
  close,
  closeList,
  closeObject,
  colon,
  comma,
  type Json,
  moveBefore,
  piece,
  put,
  putByte,
  quote,
} from "./jcs.ts";
import { putDouble, putInt64 } from "./jcs-number.ts";
import { addMember, closeMembers } from "./jcs-members.ts";
import type { Reader } from "./reader.ts";
import { type FieldNames, inField, refused, unexpectedTag } from "../encoding/wire-error.ts";
import { putPlain, putString } from "./text.ts";
import { readBool, readDouble, readEnd, readExtent, readInt64, readTag } from "../encoding/wire-reader.ts";

/** An attribute's own value is at level 1, what it holds at level 2. */
export const maxLevels = 32;

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

const noKey = piece('"":');
const nothing = piece("null");
const stringValue = piece('{"stringValue":');
const yes = piece('{"boolValue":true}');
const no = piece('{"boolValue":false}');
const intValue = piece('{"intValue":"');
const doubleValue = piece('{"doubleValue":');
const arrayValue = piece('{"arrayValue":[');
const kvlistValue = piece('{"kvlistValue":{');
const bytesValue = piece('{"bytesValue":"');
const endOfValue = piece("},");

/** Writes one attribute as a member, or one entry of a map when `level` is above 1. */
export function readKeyValue(c: Reader, end: number, json: Json, level = 1): void {
  if (level <= maxLevels && readPlainText(c, end, json)) return;
  const start = json.at;
  let keyStart = 0;
  let keyEnd = 0;
  let hasKey = false;
  let hasValue = false;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag === 10 && !hasKey) {
        const from = json.at;
        keyStart = putString(c, end, json);
        keyEnd = c.at;
        putByte(json, colon);
        hasKey = true;
        if (hasValue) moveBefore(json, start, from);
      } else if (tag === 18 && !hasValue) {
        readAnyValue(c, readEnd(c, end), json, level);
        hasValue = true;
      } else {
        throw tag === 10 || tag === 18 ? refused("is there twice; send it once") : unexpectedTag(tag, keyValueFields);
      }
    }
  } catch (error) {
    throw inField(error, keyValueFields, tag);
  }
  if (!hasKey) {
    const from = json.at;
    put(json, noKey);
    moveBefore(json, start, from);
  }
  if (!hasValue) put(json, nothing);
  putByte(json, comma);
  addMember(c.members, keyStart, keyEnd, start);
}

/**
 * The same of what most attributes are: a key and a string of plain text, in this order, all lengths in a byte. For any other it is false, and
 * nothing is read: why one is refused, it does not know.
 */
function readPlainText(c: Reader, end: number, json: Json): boolean {
  const { bytes, at } = c;
  const keyStart = at + 2;
  const keyEnd = keyStart + bytes[at + 1]!;
  const textStart = keyEnd + 4;
  if (end - at > 0x7f || textStart > end || bytes[at] !== 10 || bytes[keyEnd] !== 18) return false;
  if (bytes[keyEnd + 1] !== end - keyEnd - 2 || bytes[keyEnd + 2] !== 10 || bytes[keyEnd + 3] !== end - textStart)
    return false;
  const start = json.at;
  if (!putPlain(c, keyStart, keyEnd, json)) return false;
  putByte(json, colon);
  put(json, stringValue);
  if (!putPlain(c, textStart, end, json)) {
    json.at = start;
    return false;
  }
  put(json, endOfValue);
  addMember(c.members, keyStart, keyEnd, start);
  c.at = end;
  return true;
}

function readAnyValue(c: Reader, end: number, json: Json, level: number): void {
  if (level > maxLevels) throw refused(`is nested deeper than ${maxLevels} levels; flatten it`);
  const start = json.at;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      const isSecond = json.at > start;
      readMember(c, end, json, tag, level);
      if (isSecond) throw refused("the value has a second member; it is one of them");
    }
  } catch (error) {
    throw inField(error, anyValueFields, tag);
  }
  if (json.at === start) put(json, nothing);
}

function readMember(c: Reader, end: number, json: Json, tag: number, level: number): void {
  switch (tag) {
    case 10:
      put(json, stringValue);
      putString(c, end, json);
      break;
    case 16:
      put(json, readBool(c, end) ? yes : no);
      return;
    case 24: {
      put(json, intValue);
      const low = readInt64(c, end);
      putInt64(json, c.high | 0, low);
      putByte(json, quote);
      break;
    }
    case 33:
      put(json, doubleValue);
      putDouble(json, readDouble(c, end));
      break;
    case 42:
      put(json, arrayValue);
      readArray(c, readEnd(c, end), json, level);
      break;
    case 50:
      put(json, kvlistValue);
      readMap(c, readEnd(c, end), json, level);
      break;
    case 58: {
      put(json, bytesValue);
      const { start, end: stop } = readExtent(c, end);
      json.at = writeBase64(json.view, json.at, c.bytes, start, stop);
      putByte(json, quote);
      break;
    }
    default:
      throw unexpectedTag(tag, anyValueFields);
  }
  putByte(json, closeObject);
}

function readArray(c: Reader, end: number, json: Json, level: number): void {
  let count = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag !== 10) throw unexpectedTag(tag, valuesFields);
      readAnyValue(c, readEnd(c, end), json, level + 1);
      putByte(json, comma);
      count += 1;
    }
  } catch (error) {
    throw inField(error, valuesFields, tag, count);
  }
  close(json, closeList);
}

function readMap(c: Reader, end: number, json: Json, level: number): void {
  const base = c.members.count;
  let count = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag !== 10) throw unexpectedTag(tag, valuesFields);
      readKeyValue(c, readEnd(c, end), json, level + 1);
      count += 1;
    }
  } catch (error) {
    throw inField(error, valuesFields, tag, count);
  }
  closeMembers(c.members, base, c.bytes, json, "values");
}
