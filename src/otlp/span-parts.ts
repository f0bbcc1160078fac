/**
 * What a span holds, in canonical form: events, links and the status. An event or a link with every field at its default is still written,
 * as {}; a status is not.
 */
import { closeAttributes, readAttribute } from "./attributes.ts";
import { fixed64At, idAt, putFixed64Field, putIdField, putStringField, putUint32Field, stringAt } from "./fields.ts";
import { close, closeObject, comma, type Json, makeRoom, openObject, piece, put, putByte } from "./jcs.ts";
import type { Reader } from "./reader.ts";
import { spanIdBytes, traceIdBytes } from "./span-ids.ts";
import { type FieldNames, inField, once, unexpectedTag } from "../encoding/wire-error.ts";
import { type Cursor, readEnum, readTag, readUint32, skipFixed32 } from "../encoding/wire-reader.ts";

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

const name = {
  droppedAttributes: piece('"droppedAttributesCount":'),
  name: piece('"name":'),
  time: piece('"timeUnixNano":"'),
  spanId: piece('"spanId":"'),
  traceId: piece('"traceId":"'),
  traceState: piece('"traceState":'),
  status: piece('"status":{'),
  code: piece('"code":'),
  message: piece('"message":'),
};

/** Writes an event as an element of a list. */
export function readEvent(c: Reader, end: number, json: Json): void {
  makeRoom(json, end - c.at);
  const base = c.members.count;
  let attributes = 0;
  let timeAt = 0;
  let nameAt = 0;
  let dropped = 0;
  let seen = 0;
  let tag = 0;
  putByte(json, openObject);
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      switch (tag) {
        case 9:
          timeAt = fixed64At(c, end);
          break;
        case 18:
          nameAt = stringAt(c, end);
          break;
        case 26:
          readAttribute(c, end, json, attributes);
          attributes += 1;
          continue;
        case 32:
          dropped = readUint32(c, end);
          break;
        default:
          throw unexpectedTag(tag, eventFields);
      }
      seen = once(seen, tag >>> 3);
    }
  } catch (error) {
    throw inField(error, eventFields, tag, tag === 26 ? attributes : undefined);
  }
  closeAttributes(c, json, base, attributes);
  putUint32Field(json, name.droppedAttributes, dropped);
  putStringField(c, json, name.name, nameAt);
  putFixed64Field(c, json, name.time, timeAt);
  close(json, closeObject);
  putByte(json, comma);
  c.at = end;
}

/** Writes a link as an element of a list. The flags are read and not covered. */
export function readLink(c: Reader, end: number, json: Json): void {
  makeRoom(json, end - c.at);
  const base = c.members.count;
  let attributes = 0;
  let traceIdAt = 0;
  let spanIdAt = 0;
  let traceStateAt = 0;
  let dropped = 0;
  let seen = 0;
  let tag = 0;
  putByte(json, openObject);
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      switch (tag) {
        case 10:
          traceIdAt = idAt(c, end, traceIdBytes);
          break;
        case 18:
          spanIdAt = idAt(c, end, spanIdBytes);
          break;
        case 26:
          traceStateAt = stringAt(c, end);
          break;
        case 34:
          readAttribute(c, end, json, attributes);
          attributes += 1;
          continue;
        case 40:
          dropped = readUint32(c, end);
          break;
        case 53:
          skipFixed32(c, end);
          break;
        default:
          throw unexpectedTag(tag, linkFields);
      }
      seen = once(seen, tag >>> 3);
    }
  } catch (error) {
    throw inField(error, linkFields, tag, tag === 34 ? attributes : undefined);
  }
  closeAttributes(c, json, base, attributes);
  putUint32Field(json, name.droppedAttributes, dropped);
  putIdField(c, json, name.spanId, spanIdAt, spanIdBytes);
  putIdField(c, json, name.traceId, traceIdAt, traceIdBytes);
  putStringField(c, json, name.traceState, traceStateAt);
  close(json, closeObject);
  putByte(json, comma);
  c.at = end;
}

/** What a status says, until it is written. */
export interface Status {
  code: number;
  messageAt: number;
}

export function readStatus(c: Cursor, end: number): Status {
  let messageAt = 0;
  let code = 0;
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag === 18) messageAt = stringAt(c, end);
      else if (tag === 24) code = readEnum(c, end, lastStatusCode);
      else throw unexpectedTag(tag, statusFields);
      seen = once(seen, tag >>> 3);
    }
  } catch (error) {
    throw inField(error, statusFields, tag);
  }
  return { code, messageAt };
}

export function putStatus(c: Cursor, json: Json, { code, messageAt }: Status): void {
  if (code === 0 && messageAt === 0) return;
  put(json, name.status);
  putUint32Field(json, name.code, code);
  putStringField(c, json, name.message, messageAt);
  close(json, closeObject);
  putByte(json, comma);
}
