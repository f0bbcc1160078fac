/**
 * An OTLP trace export taken apart into its spans, and put together again, in the bytes that it has: nothing is decoded that need not be, and
 * what is unknown stays. Any run of parts is an export, so that a batch may end within a scope.
 */

/** A span in its place. Resource and scope are the same object for all spans of one ResourceSpans, or ScopeSpans. */
export interface SpanPart {
  /** All fields of the ResourceSpans except its scopes. */
  resource: Uint8Array;
  /** All fields of the ScopeSpans except its spans. */
  scope: Uint8Array;
  span: Uint8Array;
}

/** Bytes that are no protobuf message. */
export class MalformedExportError extends Error {
  override readonly name = "MalformedExportError";
}

const [resourceSpansTag, innerTag] = [0x0a, 0x12];
const [traceIdTag, spanIdTag, attributeTag] = [0x0a, 0x12, 0x4a];
/** Tag and length of a field below 4 MiB. */
const headBytes = 5;

/** The spans of an export, in order. Throws MalformedExportError. */
export function spanParts(bytes: Uint8Array): SpanPart[] {
  const { inner: resourceSpans, rest } = split(bytes, resourceSpansTag);
  if (rest.length > 0) throw new MalformedExportError("an OTLP trace export has the field resource_spans alone");
  return resourceSpans.flatMap((each) => {
    const { inner: scopes, rest: resource } = split(each, innerTag);
    return scopes.flatMap((scopeSpans) => {
      const { inner: spans, rest: scope } = split(scopeSpans, innerTag);
      return spans.map((span) => ({ resource, scope, span }));
    });
  });
}

/** The parts as an export. */
export function exportOf(parts: readonly SpanPart[]): Uint8Array {
  const resources: Uint8Array[] = [];
  for (const ofResource of runs(parts, ({ resource }) => resource)) {
    const scopes = runs(ofResource, ({ scope }) => scope).map((ofScope) => {
      const spans = ofScope.map(({ span }) => field(innerTag, span));
      return field(innerTag, ofScope[0]!.scope, ...spans);
    });
    resources.push(field(resourceSpansTag, ofResource[0]!.resource, ...scopes));
  }
  return Buffer.concat(resources);
}

/** An upper bound of what a part adds to an export in which `before` comes right before it. */
export function addedBytes({ resource, scope, span }: SpanPart, before: SpanPart | undefined): number {
  const ofResource = resource === before?.resource ? 0 : headBytes + resource.length;
  return ofResource + (scope === before?.scope ? 0 : headBytes + scope.length) + headBytes + span.length;
}

/** The span's ids, 32 and 16 hex digits, as far as it has them. */
export function idsOf({ span }: SpanPart): string {
  const ids: string[] = ["", ""];
  eachField(span, (tag, start, end) => {
    if (tag === traceIdTag) ids[0] = Buffer.from(span.subarray(start, end)).toString("hex");
    else if (tag === spanIdTag) ids[1] = Buffer.from(span.subarray(start, end)).toString("hex");
  });
  return ids.join("/");
}

/** The part with string attributes more. */
export function withAttributes(part: SpanPart, attributes: readonly (readonly [string, string])[]): SpanPart {
  const added = attributes.map(([key, value]) => {
    const anyValue = field(0x0a, Buffer.from(value));
    return field(attributeTag, field(0x0a, Buffer.from(key)), field(0x12, anyValue));
  });
  return { ...part, span: Buffer.concat([part.span, ...added]) };
}

/** A field of wire type 2 with these bytes, one behind the other. */
export function field(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  let length = content.reduce((sum, each) => sum + each.length, 0);
  const head = [tag];
  for (; length > 127; length = Math.floor(length / 128)) head.push((length % 128) + 128);
  return Buffer.concat([Buffer.from([...head, length]), ...content]);
}

/** The contents of the fields with a tag, and everything else. */
function split(message: Uint8Array, tag: number): { inner: Uint8Array[]; rest: Uint8Array } {
  const inner: Uint8Array[] = [];
  const rest: Uint8Array[] = [];
  eachField(message, (found, start, end, from) => {
    if (found === tag) inner.push(message.subarray(start, end));
    else rest.push(message.subarray(from, end));
  });
  return { inner, rest: Buffer.concat(rest) };
}

/** Visits each field with its tag, where its content lies, and where the field begins. */
function eachField(message: Uint8Array, visit: (tag: number, start: number, end: number, from: number) => void): void {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1, length = 0; length < 10; scale *= 128, length += 1) {
      const byte = message[at];
      if (byte === undefined) break;
      at += 1;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new MalformedExportError("the spans are no OTLP in protobuf");
  };
  while (at < message.length) {
    const from = at;
    const tag = varint();
    let start = at;
    let length = 0;
    if (tag % 8 === 0) varint();
    else if (tag % 8 === 1) length = 8;
    else if (tag % 8 === 5) length = 4;
    else if (tag % 8 === 2) {
      length = varint();
      start = at;
    } else throw new MalformedExportError("the spans are no OTLP in protobuf");
    if (length > message.length - at) throw new MalformedExportError("the spans end before their length says");
    at += length;
    visit(tag, start, at, from);
  }
}

/** Parts in a row that have the same key. */
function runs(parts: readonly SpanPart[], keyOf: (part: SpanPart) => Uint8Array): SpanPart[][] {
  const found: SpanPart[][] = [];
  for (const part of parts) {
    const run = found.at(-1);
    if (run !== undefined && keyOf(run[0]!) === keyOf(part)) run.push(part);
    else found.push([part]);
  }
  return found;
}
