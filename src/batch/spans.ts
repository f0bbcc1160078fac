/**
 * The spans of a batch, one after the other, as statements speak of them. A span that is refused is an error in its place; a malformed frame
 * and too many spans refuse the whole batch, before any span is read.
 */
import { hasCode, invalidField, type KmsError } from "../errors.ts";
import type { Batch } from "./request.ts";
import { digestBytes, writeDigest } from "../crypto/sha256.ts";
import {
  checkRoom,
  closeObject,
  comma,
  type Json,
  makeRoom,
  openObject,
  type Piece,
  piece,
  put,
  putByte,
} from "../otlp/jcs.ts";
import { type Reader, reader } from "../otlp/reader.ts";
import { inField } from "../encoding/wire-error.ts";
import { readResource, readScope } from "../otlp/resource.ts";
import { type Frame, readFrame } from "../otlp/resource-spans.ts";
import { readSpan, type SpanPart } from "../otlp/span.ts";
import { spanIdBytes, traceIdBytes } from "../otlp/span-ids.ts";
import { aboutSpanBytes } from "./statement-template.ts";
import { copyWords, viewOf } from "../encoding/digits.ts";
import { type Cursor, cursor, type Extent } from "../encoding/wire-reader.ts";

export const maxSpans = 10_000;
/** What refusals of a batch may say at least, in characters; more, where the batch itself is larger. */
const leastDetail = 16 * 1024;

/** A span that was refused, in the place that it has in its batch. */
export interface RefusedSpan {
  /** Counts the batch's spans from 0. */
  at: number;
  /** Empty, like the message, where the refusals before it said as much as they may. */
  field: string;
  message: string;
}

/** Is told of each span, in order. */
export interface SpanVisitor {
  /** What a statement says about the span, as `aboutSpanBytes`: the next span's is written over it. */
  span(about: Uint8Array): void;
  refused(span: RefusedSpan): void;
}

const resourceName = piece('"resource":');
const scopeName = piece('"scope":');
const spanName = piece('"span":');

/** Where the spans of a batch lie. */
export interface FoundSpans {
  bytes: Uint8Array;
  frames: readonly Frame[];
  count: number;
}

/** INVALID_ARGUMENT for a batch that is refused as a whole. */
export function findSpans(bytes: Uint8Array, { resourceSpans }: Batch): FoundSpans {
  const c = cursor(bytes);
  const frames = resourceSpans.map((extent, index) => frameAt(c, extent, index));
  const count = countSpans(frames);
  if (count > maxSpans)
    throw invalidField("resource_spans", `a batch has at most ${maxSpans} spans; send the rest in another`);
  return { bytes, frames, count };
}

export function readSpans({ bytes, frames }: FoundSpans, visitor: SpanVisitor): void {
  const c = reader(bytes);
  const { span, refused } = visitor;
  const brief = { span, refused: refusalsWithin(Math.max(leastDetail, bytes.length), refused) };
  let at = 0;
  for (const [index, frame] of frames.entries()) at = readFrameSpans(c, frame, at, `resource_spans[${index}]`, brief);
}

/** A bad span may have two bytes, and what is said of it a hundred: answers would be many times their batch. */
function refusalsWithin(detail: number, refused: SpanVisitor["refused"]): SpanVisitor["refused"] {
  let left = detail;
  return (span) => {
    left -= span.field.length + span.message.length;
    refused(left >= 0 ? span : { ...span, field: "", message: "" });
  };
}

/**
 * The canonical forms of all spans of a frame begin with the same resource, and those of a ScopeSpans with the same scope: these are written
 * once, and each span behind them, over the one before. Returns the number behind the last span's.
 */
function readFrameSpans(c: Reader, frame: Frame, first: number, path: string, visitor: SpanVisitor): number {
  let at = first;
  beginObject(c.json);
  const badResource = readPart(c, frame.resource, resourceName, readResource);
  const afterResource = c.json.at;
  for (const [place, { scope, spans }] of frame.scopeSpans.entries()) {
    c.json.at = afterResource;
    const badScope = readPart(c, scope, scopeName, readScope);
    const afterScope = c.json.at;
    for (const [index, extent] of spans.entries()) {
      c.json.at = afterScope;
      if (badResource !== undefined) visitor.refused(refusedSpan(at, badResource, `${path}.resource`));
      else if (badScope !== undefined)
        visitor.refused(refusedSpan(at, badScope, `${path}.scope_spans[${place}].scope`));
      else {
        const bad = visitSpan(c, extent, visitor);
        if (bad !== undefined) visitor.refused(refusedSpan(at, bad, `${path}.scope_spans[${place}].spans[${index}]`));
      }
      at += 1;
    }
  }
  return at;
}

function beginObject(json: Json): void {
  json.at = 0;
  makeRoom(json, 0);
  putByte(json, openObject);
}

/** Writes the resource or the scope as a member, or nothing where nothing of it is covered. Returns why it is refused. */
function readPart(
  c: Reader,
  extent: Extent | undefined,
  name: Piece,
  read: (c: Reader, end: number, json: Json) => void,
): KmsError | undefined {
  if (extent === undefined) return undefined;
  const { json } = c;
  const before = json.at;
  put(json, name);
  const start = json.at;
  c.at = extent.start;
  try {
    read(c, extent.end, json);
  } catch (error) {
    return refusalOf(error);
  }
  if (json.at === start) json.at = before;
  else putByte(json, comma);
  return undefined;
}

/** Returns why the span is refused. */
function visitSpan(c: Reader, { start, end }: Extent, visitor: SpanVisitor): KmsError | undefined {
  const { json } = c;
  put(json, spanName);
  c.at = start;
  let span: SpanPart;
  try {
    span = readSpan(c, end, json);
  } catch (error) {
    return refusalOf(error);
  }
  putByte(json, closeObject);
  checkRoom(json);
  writeDigest(about, 0, json.bytes.subarray(0, json.at));
  copyWords(aboutView, digestBytes, c.view, span.traceIdAt, span.traceIdAt + traceIdBytes);
  copyWords(aboutView, digestBytes + traceIdBytes, c.view, span.spanIdAt, span.spanIdAt + spanIdBytes);
  visitor.span(about);
  return undefined;
}

const about = Buffer.alloc(aboutSpanBytes);

const aboutView = viewOf(about);

function frameAt(c: Cursor, { start, end }: Extent, index: number): Frame {
  c.at = start;
  try {
    return readFrame(c, end);
  } catch (error) {
    throw inField(error, ["resource_spans"], 0, index);
  }
}

function countSpans(frames: readonly Frame[]): number {
  let count = 0;
  for (const { scopeSpans } of frames) for (const { spans } of scopeSpans) count += spans.length;
  return count;
}

function refusalOf(error: unknown): KmsError {
  if (hasCode(error, "INVALID_ARGUMENT")) return error;
  throw error;
}

function refusedSpan(at: number, error: KmsError, path: string): RefusedSpan {
  const { field, description } = error.violations[0]!;
  return { at, field: field === "" ? path : `${path}.${field}`, message: description };
}
