/**
 * One OTLP ResourceSpans message, span by span. A first pass over its frame finds where everything lies, since a resource or a scope may
 * come after its spans. A fault in the frame (ResourceSpans or ScopeSpans themselves) refuses the whole, before any span, because then
 * nobody can tell how many spans there were; a fault in a resource, a scope or a span is an error in the place of each span it touches.
 */
import { KmsError } from "../errors.ts";
import { canonicalSpan, loneSpan, type ReadSpan, resourceText, scopeText } from "./canonical.ts";
import { type Reader, reader } from "./reader.ts";
import { type FieldNames, inField, inMessage, once, unexpectedTag } from "../encoding/wire-error.ts";
import { checkString } from "./text.ts";
import { type Cursor, type Extent, readEnd, readExtent, readTag } from "../encoding/wire-reader.ts";

const resourceSpansFields: FieldNames = [undefined, "resource", "scope_spans", "schema_url"];
const scopeSpansFields: FieldNames = [undefined, "scope", "spans", "schema_url"];

/** Where everything of a ResourceSpans message lies. */
export interface Frame {
  resource: Extent | undefined;
  scopeSpans: ScopeSpans[];
}

interface ScopeSpans {
  scope: Extent | undefined;
  spans: Extent[];
}

/** Yields, for each span in order, the span or why it is refused. Throws for a malformed frame. */
export function* readResourceSpans(bytes: Uint8Array): Generator<ReadSpan | KmsError, void, undefined> {
  const c = reader(bytes);
  const frame = readWholeFrame(c, bytes.length);
  const resource = frame.resource ? readAt(c, frame.resource, "resource", resourceText) : "";
  for (const scopeSpans of frame.scopeSpans) {
    const scope = scopeSpans.scope ? readAt(c, scopeSpans.scope, "scope", scopeText) : "";
    for (const extent of scopeSpans.spans) {
      if (resource instanceof KmsError) yield resource;
      else if (scope instanceof KmsError) yield scope;
      else yield readSpanAt(c, extent, resource, scope);
    }
  }
}

function readSpanAt(c: Reader, extent: Extent, resource: string, scope: string): ReadSpan | KmsError {
  const span = readAt(c, extent, "span", loneSpan);
  return span instanceof KmsError ? span : canonicalSpan(span, resource, scope);
}

/** What `read` makes of the message at `extent`, or its error with `name` in front. */
export function readAt<T>(c: Reader, extent: Extent, name: string, read: (c: Reader, end: number) => T): T | KmsError {
  c.at = extent.start;
  try {
    return read(c, extent.end);
  } catch (error) {
    const named = inField(error, [name], 0);
    if (named instanceof KmsError) return named;
    throw named;
  }
}

function readWholeFrame(c: Cursor, end: number): Frame {
  try {
    return readFrame(c, end);
  } catch (error) {
    throw inMessage(error, "resource_spans");
  }
}

export function readFrame(c: Cursor, end: number): Frame {
  const scopeSpans: ScopeSpans[] = [];
  let resource: Extent | undefined;
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag === 10) resource = readExtent(c, end);
      else if (tag === 18) scopeSpans.push(readScopeSpans(c, readEnd(c, end)));
      else if (tag === 26) checkString(c, end);
      else throw unexpectedTag(tag, resourceSpansFields);
      if (tag !== 18) seen = once(seen, tag >>> 3);
    }
  } catch (error) {
    throw inField(error, resourceSpansFields, tag, tag === 18 ? scopeSpans.length : undefined);
  }
  return { resource, scopeSpans };
}

function readScopeSpans(c: Cursor, end: number): ScopeSpans {
  const spans: Extent[] = [];
  let scope: Extent | undefined;
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag === 10) scope = readExtent(c, end);
      else if (tag === 18) spans.push(readExtent(c, end));
      else if (tag === 26) checkString(c, end);
      else throw unexpectedTag(tag, scopeSpansFields);
      if (tag !== 18) seen = once(seen, tag >>> 3);
    }
  } catch (error) {
    throw inField(error, scopeSpansFields, tag, tag === 18 ? spans.length : undefined);
  }
  return { scope, spans };
}
