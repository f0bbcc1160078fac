/**
 * The spans of one OTLP ResourceSpans message. A fault in the frame, which is ResourceSpans or ScopeSpans themselves, refuses the whole:
 * nobody can tell how many spans there were. A fault in a resource, a scope or a span stands in the place of each span that it touches.
 */
import { type ReadSpan, readResource, readScope, readSpan } from "./canonical.ts";
import { eachField, MalformedError, unexpected, type WireReader, wireReader } from "./wire-reader.ts";

interface ScopeSpans {
  scope: Uint8Array | undefined;
  spans: Uint8Array[];
}

/** In order. Throws MalformedError for the frame. */
export function spansOf(resourceSpans: Uint8Array): (ReadSpan | MalformedError)[] {
  const { resource, scopeSpans } = readFrame(wireReader(resourceSpans));
  const resourceText = tried(() => (resource === undefined ? "" : readResource(wireReader(resource))));
  return scopeSpans.flatMap(({ scope, spans }) => {
    const scopeText = tried(() => (scope === undefined ? "" : readScope(wireReader(scope))));
    return spans.map((span) => {
      if (resourceText instanceof MalformedError) return resourceText;
      if (scopeText instanceof MalformedError) return scopeText;
      return tried(() => readSpan(wireReader(span), resourceText, scopeText));
    });
  });
}

function readFrame(reader: WireReader): { resource: Uint8Array | undefined; scopeSpans: ScopeSpans[] } {
  const { header, items } = readLayer(reader, () => readScopeSpans(reader.message()));
  return { resource: header, scopeSpans: items };
}

function readScopeSpans(reader: WireReader): ScopeSpans {
  const { header, items } = readLayer(reader, () => reader.bytes());
  return { scope: header, spans: items };
}

/** ResourceSpans and ScopeSpans have the same fields: a resource or scope, items, and a schema_url, which is not signed. */
function readLayer<Item>(reader: WireReader, readItem: () => Item): { header: Uint8Array | undefined; items: Item[] } {
  const layer: { header: Uint8Array | undefined; items: Item[] } = { header: undefined, items: [] };
  eachField(reader, [18], (tag) => {
    if (tag === 10) layer.header = reader.bytes();
    else if (tag === 18) layer.items.push(readItem());
    else if (tag === 26) reader.text();
    else throw unexpected(tag);
  });
  return layer;
}

/** What `read` gives, or why it cannot. */
export function tried<T>(read: () => T): T | MalformedError {
  try {
    return read();
  } catch (error) {
    if (error instanceof MalformedError) return error;
    throw error;
  }
}
