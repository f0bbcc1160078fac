/**
 * The spans of one OTLP ResourceSpans message. A fault in the frame, which is ResourceSpans or ScopeSpans themselves, refuses the whole:
 * nobody can tell how many spans there were. A fault in a resource, a scope or a span stands in the place of each span that it touches.
 */
import { type ReadSpan, readResource, readScope, readSpan } from "./canonical.ts";
import { MalformedError, once, unexpected, type WireReader, wireReader } from "./wire-reader.ts";

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
  const scopeSpans: ScopeSpans[] = [];
  let resource: Uint8Array | undefined;
  const seen = new Set<number>();
  for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
    if (tag === 18) scopeSpans.push(readScopeSpans(reader.message()));
    else {
      once(seen, tag);
      if (tag === 10) resource = reader.bytes();
      else if (tag === 26) reader.text();
      else throw unexpected(tag);
    }
  }
  return { resource, scopeSpans };
}

function readScopeSpans(reader: WireReader): ScopeSpans {
  const spans: Uint8Array[] = [];
  let scope: Uint8Array | undefined;
  const seen = new Set<number>();
  for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
    if (tag === 18) spans.push(reader.bytes());
    else {
      once(seen, tag);
      if (tag === 10) scope = reader.bytes();
      else if (tag === 26) reader.text();
      else throw unexpected(tag);
    }
  }
  return { scope, spans };
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
