/**
 * The spans of a batch, in order, as statements speak of them. A span that is refused is an error in its place; a malformed frame and too
 * many spans refuse the whole batch, before any span is read.
 */
import { hash } from "node:crypto";
import { invalidField, KmsError } from "../errors.ts";
import type { Batch } from "./batch.ts";
import { canonicalSpan, type ReadSpan } from "./canonical.ts";
import { inField } from "./refusal.ts";
import { readResource, readScope } from "./resource.ts";
import { type Frame, readAt, readFrame } from "./resource-spans.ts";
import { readSpan } from "./span.ts";
import { type Cursor, cursor, type Extent } from "./wire.ts";

export const maxSpans = 10_000;

/** What a statement says about a span. */
export interface SpanOfBatch {
  /** Lower-case hex. */
  traceId: string;
  spanId: string;
  /** SHA-256 of the canonical form, lower-case hex. */
  digest: string;
}

/** A span that was refused, in the place that it has in its batch. */
export interface RefusedSpan {
  /** Counts the batch's spans from 0. */
  at: number;
  field: string;
  message: string;
}

/** INVALID_ARGUMENT for a batch that is refused as a whole. */
export function* readBatchSpans(
  bytes: Uint8Array,
  { resourceSpans }: Pick<Batch, "resourceSpans">,
): Generator<SpanOfBatch | RefusedSpan, void, undefined> {
  const c = cursor(bytes);
  const frames = resourceSpans.map((extent, index) => frameAt(c, extent, index));
  if (countSpans(frames) > maxSpans)
    throw invalidField("resource_spans", `a batch has at most ${maxSpans} spans; send the rest in another`);
  let at = 0;
  for (const [r, frame] of frames.entries()) {
    const resource = frame.resource ? readAt(c, frame.resource, "resource", readResource) : "";
    for (const [s, scopeSpans] of frame.scopeSpans.entries()) {
      const scope = scopeSpans.scope ? readAt(c, scopeSpans.scope, "scope", readScope) : "";
      for (const [index, extent] of scopeSpans.spans.entries()) {
        if (resource instanceof KmsError) yield refusedSpan(at, resource, `resource_spans[${r}]`);
        else if (scope instanceof KmsError) yield refusedSpan(at, scope, `resource_spans[${r}].scope_spans[${s}]`);
        else {
          const span = readAt(c, extent, `spans[${index}]`, readSpan);
          if (span instanceof KmsError) yield refusedSpan(at, span, `resource_spans[${r}].scope_spans[${s}]`);
          else yield digested(canonicalSpan(span, resource, scope));
        }
        at += 1;
      }
    }
  }
}

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

function digested({ traceId, spanId, canonical }: ReadSpan): SpanOfBatch {
  return { traceId, spanId, digest: hash("sha256", canonical) };
}

function refusedSpan(at: number, error: KmsError, inside: string): RefusedSpan {
  const { field, description } = error.violations[0]!;
  return { at, field: `${inside}.${field}`, message: description };
}
