/** A span as it is signed: its canonical form with those of its resource and scope, and what else its readers need. */
import type { Integrity } from "./integrity.ts";
import type { SpanPart } from "./span.ts";

export interface ReadSpan {
  /** 32 lower-case hex digits. */
  traceId: string;
  /** 16 lower-case hex digits. */
  spanId: string;
  /** RFC 8785 text; its UTF-8 bytes are what the statement's digest is over. */
  canonical: string;
  /** The signature's attributes, as they were on the span. */
  integrity: Integrity;
}

/** `resource` and `scope` are canonical objects, or "" where they are empty. */
export function canonicalSpan(span: SpanPart, resource: string, scope: string): ReadSpan {
  const before = resource === "" ? "{" : `{"resource":${resource},`;
  const middle = scope === "" ? '"span":' : `"scope":${scope},"span":`;
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    canonical: `${before}${middle}${span.json}}`,
    integrity: span.integrity,
  };
}
