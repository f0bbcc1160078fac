/** A span as it is signed: its canonical form with those of its resource and scope, and what else its readers need. */
import type { Integrity } from "./integrity-attributes.ts";
import { textFrom } from "./jcs.ts";
import type { Reader } from "./reader.ts";
import { readResource, readScope } from "./resource.ts";
import { readSpan } from "./span.ts";
import { spanIdBytes, traceIdBytes } from "./span-ids.ts";

export interface ReadSpan {
  /** 32 lower-case hex digits. */
  traceId: string;
  /** 16 lower-case hex digits. */
  spanId: string;
  /** RFC 8785 text; its UTF-8 bytes are what the statement's digest is over. */
  canonical: string;
  /** The signature's attributes, as they were on the span. */
  integrity: Integrity;
  /** What is not in the canonical form, because it was not given, or empty. */
  lacks: "" | "resource" | "scope" | "resource or scope";
}

/** A span alone: its canonical form is without resource and scope. */
export type LoneSpan = Omit<ReadSpan, "lacks">;

/** A resource in canonical form, or "". */
export function resourceText(c: Reader, end: number): string {
  c.json.at = 0;
  readResource(c, end, c.json);
  return textFrom(c.json, 0);
}

/** A scope likewise. */
export function scopeText(c: Reader, end: number): string {
  c.json.at = 0;
  readScope(c, end, c.json);
  return textFrom(c.json, 0);
}

export function loneSpan(c: Reader, end: number): LoneSpan {
  c.json.at = 0;
  const { traceIdAt, spanIdAt, integrity } = readSpan(c, end, c.json);
  return {
    traceId: c.bytes.toString("hex", traceIdAt, traceIdAt + traceIdBytes),
    spanId: c.bytes.toString("hex", spanIdAt, spanIdAt + spanIdBytes),
    canonical: textFrom(c.json, 0),
    integrity,
  };
}

/** `resource` and `scope` are canonical objects, or "" where they are empty. */
export function canonicalSpan(span: LoneSpan, resource: string, scope: string): ReadSpan {
  const before = resource === "" ? "{" : `{"resource":${resource},`;
  const middle = scope === "" ? '"span":' : `"scope":${scope},"span":`;
  const lacks = resource !== "" ? (scope !== "" ? "" : "scope") : scope !== "" ? "resource" : "resource or scope";
  return { ...span, canonical: `${before}${middle}${span.canonical}}`, lacks };
}
