/**
 * OTLP's Span, read in one pass into its part of the canonical form (RFC 8785). Fields at their default are left out, and so are `flags`
 * and the five attributes that carry a signature, which are handed back beside it.
 */
import { addAttribute, attributesMember } from "./attributes.ts";
import { readKeyValue } from "./any-value.ts";
import { type Integrity, takeIntegrity } from "./integrity.ts";
import { type Entry, joined } from "./json.ts";
import { type FieldNames, inField, once, refusedAt, unexpectedTag } from "./refusal.ts";
import { readEvent, readLink, readStatus, spanIdBytes, traceIdBytes } from "./span-parts.ts";
import { readId, readJsonString } from "./text.ts";
import { type Cursor, readEnd, readEnum, readFixed64, readTag, readUint32, skipFixed32 } from "./wire.ts";

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

export interface SpanPart {
  /** Lower-case hex. */
  traceId: string;
  spanId: string;
  /** The canonical form of the span alone. */
  json: string;
  integrity: Integrity;
}

export function readSpan(c: Cursor, end: number): SpanPart {
  const attributes: Entry[] = [];
  const integrity: Integrity = {};
  let attributeCount = 0;
  let eventCount = 0;
  let linkCount = 0;
  let traceId = "";
  let spanId = "";
  let traceState = '""';
  let parentSpanId = "";
  let name = '""';
  let kind = 0;
  let start = "0";
  let stop = "0";
  let events = "";
  let links = "";
  let status = "";
  let droppedAttributes = 0;
  let droppedEvents = 0;
  let droppedLinks = 0;
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      switch (tag) {
        case 74: {
          const entry = readKeyValue(c, readEnd(c, end), attributeCount);
          if (!takeIntegrity(entry, integrity)) addAttribute(attributes, entry);
          attributeCount += 1;
          continue;
        }
        case 90:
          events = joined(events, `{${readEvent(c, readEnd(c, end))}}`);
          eventCount += 1;
          continue;
        case 106:
          links = joined(links, `{${readLink(c, readEnd(c, end))}}`);
          linkCount += 1;
          continue;
        case 10:
          traceId = readId(c, end, traceIdBytes);
          break;
        case 18:
          spanId = readId(c, end, spanIdBytes);
          break;
        case 26:
          traceState = readJsonString(c, end);
          break;
        case 34:
          parentSpanId = readId(c, end, spanIdBytes);
          break;
        case 42:
          name = readJsonString(c, end);
          break;
        case 48:
          kind = readEnum(c, end, lastKind);
          break;
        case 57:
          start = readFixed64(c, end);
          break;
        case 65:
          stop = readFixed64(c, end);
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
    const index = tag === 74 ? attributeCount : tag === 90 ? eventCount : tag === 106 ? linkCount : undefined;
    throw inField(error, spanFields, tag, index);
  }
  if (traceId === "")
    throw refusedAt("trace_id", `is missing or all zero; give the ${traceIdBytes} bytes of the trace's id`);
  if (spanId === "")
    throw refusedAt("span_id", `is missing or all zero; give the ${spanIdBytes} bytes of the span's id`);

  let json = attributesMember(attributes);
  if (droppedAttributes !== 0) json = joined(json, `"droppedAttributesCount":${droppedAttributes}`);
  if (droppedEvents !== 0) json = joined(json, `"droppedEventsCount":${droppedEvents}`);
  if (droppedLinks !== 0) json = joined(json, `"droppedLinksCount":${droppedLinks}`);
  if (stop !== "0") json = joined(json, `"endTimeUnixNano":"${stop}"`);
  if (events !== "") json = joined(json, `"events":[${events}]`);
  if (kind !== 0) json = joined(json, `"kind":${kind}`);
  if (links !== "") json = joined(json, `"links":[${links}]`);
  if (name !== '""') json = joined(json, `"name":${name}`);
  if (parentSpanId !== "") json = joined(json, `"parentSpanId":"${parentSpanId}"`);
  json = joined(json, `"spanId":"${spanId}"`);
  if (start !== "0") json += `,"startTimeUnixNano":"${start}"`;
  if (status !== "") json += `,"status":{${status}}`;
  json += `,"traceId":"${traceId}"`;
  if (traceState !== '""') json += `,"traceState":${traceState}`;
  return { traceId, spanId, json: `{${json}}`, integrity };
}
