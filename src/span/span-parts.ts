/**
 * What a span holds, in canonical form: events, links and the status. Each is the members of an object, without braces; "" means that
 * every field is at its default. An event or a link is then still written, as {}; a status is not.
 */
import { attributesMember, readAttribute } from "./attributes.ts";
import { type Entry, joined } from "./json.ts";
import { type FieldNames, inField, once, unexpectedTag } from "./refusal.ts";
import { readId, readJsonString } from "./text.ts";
import { type Cursor, readEnum, readFixed64, readTag, readUint32, skipFixed32 } from "./wire.ts";

export const traceIdBytes = 16;
export const spanIdBytes = 8;

const lastStatusCode = 2;

const eventFields: FieldNames = [undefined, "time_unix_nano", "name", "attributes", "dropped_attributes_count"];
const linkFields: FieldNames = [
  undefined,
  "trace_id",
  "span_id",
  "trace_state",
  "attributes",
  "dropped_attributes_count",
  "flags",
];
const statusFields: FieldNames = [undefined, undefined, "message", "code"];

export function readEvent(c: Cursor, end: number): string {
  const attributes: Entry[] = [];
  let time = "0";
  let name = '""';
  let dropped = 0;
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag === 9) time = readFixed64(c, end);
      else if (tag === 18) name = readJsonString(c, end);
      else if (tag === 26) readAttribute(c, end, attributes);
      else if (tag === 32) dropped = readUint32(c, end);
      else throw unexpectedTag(tag, eventFields);
      if (tag !== 26) seen = once(seen, tag >>> 3);
    }
  } catch (error) {
    throw inField(error, eventFields, tag, tag === 26 ? attributes.length : undefined);
  }
  let members = attributesMember(attributes);
  if (dropped !== 0) members = joined(members, `"droppedAttributesCount":${dropped}`);
  if (name !== '""') members = joined(members, `"name":${name}`);
  return time === "0" ? members : joined(members, `"timeUnixNano":"${time}"`);
}

/** The flags are read and not covered. */
export function readLink(c: Cursor, end: number): string {
  const attributes: Entry[] = [];
  let traceId = "";
  let spanId = "";
  let traceState = '""';
  let dropped = 0;
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag === 10) traceId = readId(c, end, traceIdBytes);
      else if (tag === 18) spanId = readId(c, end, spanIdBytes);
      else if (tag === 26) traceState = readJsonString(c, end);
      else if (tag === 34) readAttribute(c, end, attributes);
      else if (tag === 40) dropped = readUint32(c, end);
      else if (tag === 53) skipFixed32(c, end);
      else throw unexpectedTag(tag, linkFields);
      if (tag !== 34) seen = once(seen, tag >>> 3);
    }
  } catch (error) {
    throw inField(error, linkFields, tag, tag === 34 ? attributes.length : undefined);
  }
  let members = attributesMember(attributes);
  if (dropped !== 0) members = joined(members, `"droppedAttributesCount":${dropped}`);
  if (spanId !== "") members = joined(members, `"spanId":"${spanId}"`);
  if (traceId !== "") members = joined(members, `"traceId":"${traceId}"`);
  return traceState === '""' ? members : joined(members, `"traceState":${traceState}`);
}

export function readStatus(c: Cursor, end: number): string {
  let message = '""';
  let code = 0;
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag === 18) message = readJsonString(c, end);
      else if (tag === 24) code = readEnum(c, end, lastStatusCode);
      else throw unexpectedTag(tag, statusFields);
      seen = once(seen, tag >>> 3);
    }
  } catch (error) {
    throw inField(error, statusFields, tag);
  }
  const members = code === 0 ? "" : `"code":${code}`;
  return message === '""' ? members : joined(members, `"message":${message}`);
}
