/**
 * An OTLP export in its parts, as the bytes that they have: each span, and what its resource and its scope say beside it. Any run of parts
 * is an export again, so a batch may end within a scope, and nothing is decoded that need not be.
 */
import {
  cursor,
  type Extent,
  readEnd,
  readExtent,
  readInt64,
  readTag,
  skipFixed32,
  skipFixed64,
} from "../../encoding/wire-reader.ts";
import { isIntegrityKey } from "../../otlp/integrity-attributes.ts";
import { inMessage, refused } from "../../encoding/wire-error.ts";
import { readFrame } from "../../otlp/resource-spans.ts";
import { varintBytes, writeHead } from "../../encoding/wire-writer.ts";

/** A span in its place. Resource and scope are the same object for all parts of one ResourceSpans, or ScopeSpans. */
export interface Part {
  /** All fields of the ResourceSpans except its scopes. */
  resource: Uint8Array;
  /** All fields of the ScopeSpans except its spans; undefined for a resource that has no scope. */
  scope: Uint8Array | undefined;
  /** Undefined for a scope that has no span. */
  span: Uint8Array | undefined;
}

export interface AboutSpan {
  /** `<trace id>/<span id>` in hex. */
  name: string;
  /** Whether any attribute is of a signature. */
  isSigned: boolean;
}

const resourceSpansTag = 0x0a;
/** The tag of scope_spans in ResourceSpans, and of spans in ScopeSpans. */
const innerTag = 0x12;
const [traceIdTag, spanIdTag, attributeTag, keyTag] = [0x0a, 0x12, 0x4a, 0x0a];

/** The parts of one ResourceSpans message, in order. Throws INVALID_ARGUMENT for a malformed frame. */
export function partsOf(resourceSpans: Uint8Array): Part[] {
  readOrName("resource_spans", () => readFrame(cursor(resourceSpans), resourceSpans.length));
  const { rest: resource, inner: scopes } = split(resourceSpans);
  if (scopes.length === 0) return [{ resource, scope: undefined, span: undefined }];
  return scopes.flatMap((scopeSpans): Part[] => {
    const { rest: scope, inner: spans } = split(scopeSpans);
    return spans.length === 0
      ? [{ resource, scope, span: undefined }]
      : spans.map((span) => ({ resource, scope, span }));
  });
}

/** ResourceSpans as fields of an export. */
export function encodeParts(parts: readonly Part[]): Uint8Array {
  const byResource = runs(parts, ({ resource }) => resource).map(({ key: resource, run }) => {
    const byScope = runs(run, ({ scope }) => scope).map(({ key: scope, run: within }) =>
      scope === undefined
        ? new Uint8Array()
        : field(innerTag, scope, ...within.map(({ span }) => (span === undefined ? span : field(innerTag, span)))),
    );
    return field(resourceSpansTag, resource, ...byScope);
  });
  return Buffer.concat(byResource);
}

/** An upper bound of what a part adds to an export in which `before` comes right before it. */
export function addedBytes({ resource, scope, span }: Part, before: Part | undefined): number {
  let bytes = headBytes + (span?.length ?? 0);
  if (scope !== before?.scope) bytes += headBytes + (scope?.length ?? 0);
  if (resource !== before?.resource) bytes += headBytes + resource.length;
  return bytes;
}

/** A field of wire type 2 with these bytes, one behind the other. */
export function field(tag: number, ...content: readonly (Uint8Array | undefined)[]): Uint8Array {
  const parts = content.filter((each) => each !== undefined);
  const length = parts.reduce((sum, each) => sum + each.length, 0);
  const head = Buffer.alloc(1 + varintBytes(length));
  writeHead(head, 0, tag, length);
  return Buffer.concat([head, ...parts]);
}

/** Throws INVALID_ARGUMENT for what no protobuf is. */
export function aboutSpan(span: Uint8Array): AboutSpan {
  const c = cursor(span);
  const hex = ({ start, end }: Extent) => c.bytes.toString("hex", start, end);
  const about = { traceId: "", spanId: "", isSigned: false };
  const read = (tag: number, extent: Extent) => {
    if (tag === traceIdTag) about.traceId = hex(extent);
    else if (tag === spanIdTag) about.spanId = hex(extent);
    else if (tag === attributeTag) about.isSigned ||= isOfSignature(span.subarray(extent.start, extent.end));
  };
  readOrName("span", () => eachField(span, read));
  return { name: `${about.traceId || "-"}/${about.spanId || "-"}`, isSigned: about.isSigned };
}

/** Tag and length of a field below 4 MiB. */
const headBytes = 5;

function isOfSignature(attribute: Uint8Array): boolean {
  let found = false;
  eachField(attribute, (tag, { start, end }) => {
    if (tag !== keyTag) return;
    found ||= isIntegrityKey(Buffer.from(attribute.subarray(start, end)).toString());
  });
  return found;
}

function readOrName<T>(message: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw inMessage(error, message);
  }
}

/** Visits the fields of wire type 2 with their tag and where their content lies; reads over the others. */
function eachField(message: Uint8Array, visit: (tag: number, extent: Extent) => void): void {
  const c = cursor(message);
  const end = message.length;
  while (c.at < end) {
    const tag = readTag(c, end);
    const wireType = tag & 7;
    if (wireType === 0) readInt64(c, end);
    else if (wireType === 1) skipFixed64(c, end);
    else if (wireType === 5) skipFixed32(c, end);
    else if (wireType === 2) visit(tag, readExtent(c, end));
    else throw refused("groups are not part of OTLP; leave them out");
  }
}

/** Everything but the fields with `innerTag`, and these. */
function split(message: Uint8Array): { rest: Uint8Array; inner: Uint8Array[] } {
  const c = cursor(message);
  const rest: Uint8Array[] = [];
  const inner: Uint8Array[] = [];
  while (c.at < message.length) {
    const start = c.at;
    const tag = readTag(c, message.length);
    const stop = readEnd(c, message.length);
    if (tag === innerTag) inner.push(message.subarray(c.at, stop));
    else rest.push(message.subarray(start, stop));
    c.at = stop;
  }
  return { rest: Buffer.concat(rest), inner };
}

interface Run<K> {
  key: K;
  run: Part[];
}

/** Neighbours with the same key. */
function runs<K>(parts: readonly Part[], keyOf: (part: Part) => K): Run<K>[] {
  const found: Run<K>[] = [];
  for (const part of parts) {
    const last = found.at(-1);
    if (last !== undefined && last.key === keyOf(part)) last.run.push(part);
    else found.push({ key: keyOf(part), run: [part] });
  }
  return found;
}
