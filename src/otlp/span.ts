/**
 * OTLP's Span, read in one pass into its part of the canonical form (RFC 8785). Fields at their default are left out, and so are `flags`
 * and the five attributes that carry a signature, which are handed back beside it.
 *
 * Each message has a reader of its own, though all have one shape. Measured with Node 26.12.1: one
 * reader that a table of fields drives costs 5 % more a span here and in `enterBatch`; with a
 * `switch` on the kinds of fields it costs 4 % and 2 %.
 */
import { closeAttributes, readSpanAttribute } from "./attributes.ts";
import { fixed64At, idAt, putFixed64Field, putIdField, putStringField, putUint32Field, stringAt } from "./fields.ts";
import type { Integrity } from "./integrity-attributes.ts";
import {
  close,
  closeList,
  closeObject,
  comma,
  type Json,
  makeRoom,
  openObject,
  type Piece,
  piece,
  put,
  putByte,
  putBytes,
} from "./jcs.ts";
import type { Reader } from "./reader.ts";
import { type FieldNames, inField, once, refusedAt, unexpectedTag } from "../encoding/wire-error.ts";
import { putStatus, readEvent, readLink, readStatus, type Status } from "./span-parts.ts";
import { spanIdBytes, traceIdBytes } from "./span-ids.ts";
import { readEnd, readEnum, readTag, readUint32, skipFixed32 } from "../encoding/wire-reader.ts";

const lastKind = 5;

const spanFields: FieldNames = [
  undefined,
  "trace_id",
  "span_id",
  "trace_state",
  "parent_span_id",
  "name",
  "kind",
  "start_time_unix_nano",
  "end_time_unix_nano",
  "attributes",
  "dropped_attributes_count",
  "events",
  "dropped_events_count",
  "links",
  "dropped_links_count",
  "status",
  "flags",
];

const name = {
  droppedAttributes: piece('"droppedAttributesCount":'),
  droppedEvents: piece('"droppedEventsCount":'),
  droppedLinks: piece('"droppedLinksCount":'),
  end: piece('"endTimeUnixNano":"'),
  events: piece('"events":['),
  kind: piece('"kind":'),
  links: piece('"links":['),
  name: piece('"name":'),
  parentSpanId: piece('"parentSpanId":"'),
  spanId: piece('"spanId":"'),
  start: piece('"startTimeUnixNano":"'),
  traceId: piece('"traceId":"'),
  traceState: piece('"traceState":'),
};

/** What of a span is needed beside its text. */
export interface SpanPart {
  /** Where the 16 bytes lie on the wire. */
  traceIdAt: number;
  /** The 8 bytes. */
  spanIdAt: number;
  integrity: Integrity;
}

/** Writes the span as an object. */
export function readSpan(c: Reader, end: number, json: Json): SpanPart {
  makeRoom(json, end - c.at);
  const { events, links } = c;
  const base = c.members.count;
  const integrity: Integrity = {};
  let attributes = 0;
  let integrityCount = 0;
  let eventCount = 0;
  let linkCount = 0;
  let traceIdAt = 0;
  let spanIdAt = 0;
  let traceStateAt = 0;
  let parentSpanIdAt = 0;
  let nameAt = 0;
  let kind = 0;
  let startAt = 0;
  let endAt = 0;
  let status: Status | undefined;
  let droppedAttributes = 0;
  let droppedEvents = 0;
  let droppedLinks = 0;
  let seen = 0;
  let tag = 0;
  events.at = 0;
  links.at = 0;
  putByte(json, openObject);
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      switch (tag) {
        case 74:
          if (readSpanAttribute(c, end, json, attributes, integrity)) attributes += 1;
          else integrityCount += 1;
          continue;
        case 90:
          readEvent(c, readEnd(c, end), events);
          eventCount += 1;
          continue;
        case 106:
          readLink(c, readEnd(c, end), links);
          linkCount += 1;
          continue;
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
          parentSpanIdAt = idAt(c, end, spanIdBytes);
          break;
        case 42:
          nameAt = stringAt(c, end);
          break;
        case 48:
          kind = readEnum(c, end, lastKind);
          break;
        case 57:
          startAt = fixed64At(c, end);
          break;
        case 65:
          endAt = fixed64At(c, end);
          break;
        case 80:
          droppedAttributes = readUint32(c, end);
          break;
        case 96:
          droppedEvents = readUint32(c, end);
          break;
        case 112:
          droppedLinks = readUint32(c, end);
          break;
        case 122:
          status = readStatus(c, readEnd(c, end));
          break;
        case 133:
          skipFixed32(c, end);
          break;
        default:
          throw unexpectedTag(tag, spanFields);
      }
      seen = once(seen, tag >>> 3);
    }
  } catch (error) {
    const index =
      tag === 74 ? attributes + integrityCount : tag === 90 ? eventCount : tag === 106 ? linkCount : undefined;
    throw inField(error, spanFields, tag, index);
  }
  if (traceIdAt === 0)
    throw refusedAt("trace_id", `is missing or all zero; give the ${traceIdBytes} bytes of the trace's id`);
  if (spanIdAt === 0)
    throw refusedAt("span_id", `is missing or all zero; give the ${spanIdBytes} bytes of the span's id`);

  closeAttributes(c, json, base, attributes);
  putUint32Field(json, name.droppedAttributes, droppedAttributes);
  putUint32Field(json, name.droppedEvents, droppedEvents);
  putUint32Field(json, name.droppedLinks, droppedLinks);
  putFixed64Field(c, json, name.end, endAt);
  putList(json, name.events, events);
  putUint32Field(json, name.kind, kind);
  putList(json, name.links, links);
  putStringField(c, json, name.name, nameAt);
  putIdField(c, json, name.parentSpanId, parentSpanIdAt, spanIdBytes);
  putIdField(c, json, name.spanId, spanIdAt, spanIdBytes);
  putFixed64Field(c, json, name.start, startAt);
  if (status !== undefined) putStatus(c, json, status);
  putIdField(c, json, name.traceId, traceIdAt, traceIdBytes);
  putStringField(c, json, name.traceState, traceStateAt);
  close(json, closeObject);
  c.at = end;
  return { traceIdAt, spanIdAt, integrity };
}

/** Writes the list whose elements were written apart. */
function putList(json: Json, listName: Piece, elements: Json): void {
  if (elements.at === 0) return;
  put(json, listName);
  putBytes(json, elements.bytes.subarray(0, elements.at));
  close(json, closeList);
  putByte(json, comma);
}
