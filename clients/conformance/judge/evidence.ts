/** A span and the evidence that somebody signed it, still apart: to be put together rightly, or wrongly. */
import { KmsError } from "../../../src/errors.ts";
import type { ReadSpan } from "../../../src/otlp/canonical.ts";
import { integrityKeys } from "../../../src/otlp/integrity-attributes.ts";
import { readResourceSpans } from "../../../src/otlp/resource-spans.ts";
import { logProofAlgorithm } from "../../../src/tlog/inclusion-proof.ts";
import { type Bytes, keyValue, len, message, stringValue } from "../../../test/support/otlp-wire.ts";
import type { SpanParts } from "./random-spans.ts";

export interface SignedParts extends SpanParts {
  tenant: string;
  /** The statement's time, in its canonical form. */
  signedAt: string;
  statement: Uint8Array;
  evidence: { kind: "individual"; keyId: string; signature: Uint8Array } | { kind: "log"; proof: string };
}

export type Attributes = [key: string, value: string][];

export function base64(bytes: Uint8Array | string): string {
  return Buffer.from(bytes).toString("base64");
}

/** Attributes, as the service makes them. */
export function attributesOf({ evidence, tenant, signedAt }: SignedParts): Attributes {
  const isLog = evidence.kind === "log";
  return [
    [integrityKeys.algorithm, isLog ? logProofAlgorithm : "EdDSA"],
    [integrityKeys.value, base64(isLog ? evidence.proof : evidence.signature)],
    ...(isLog ? [] : ([[integrityKeys.keyId, evidence.keyId]] as Attributes)),
    [integrityKeys.tenant, tenant],
    [integrityKeys.signedAt, signedAt],
  ];
}

/** The fields to put behind a span's. */
export function attributeFields(attributes: Attributes): Bytes[] {
  return attributes.map(([key, value]) => len(9, keyValue(key, stringValue(value))));
}

/** The contents of a ResourceSpans with one span. */
export function resourceSpansOf({ resource, scope, span }: SpanParts): Bytes {
  const scopeSpans = message(...(scope === undefined ? [] : [len(1, scope)]), len(2, span));
  return message(...(resource === undefined ? [] : [len(1, resource)]), len(2, scopeSpans));
}

export function exportOf(...resourceSpans: readonly Bytes[]): Bytes {
  return message(...resourceSpans.map((each) => len(1, each)));
}

/** A VerifySpanRequest by its attributes, or by evidence beside the span. */
export function requestOf(tenant: string, { resource, scope, span }: SpanParts, ...evidence: readonly Bytes[]): Bytes {
  return message(
    len(1, tenant),
    len(2, span),
    ...(resource === undefined ? [] : [len(3, resource)]),
    ...(scope === undefined ? [] : [len(4, scope)]),
    ...evidence,
  );
}

/** The evidence of a request, as SignedStatement or LogProof. */
export function evidenceField({ statement, evidence }: Pick<SignedParts, "statement" | "evidence">): Bytes {
  if (evidence.kind === "individual") return len(5, message(len(1, statement), len(2, evidence.signature)));
  return len(6, message(len(1, statement), len(2, evidence.proof)));
}

/** Throws for parts that cannot be read: those that are signed can be. */
export function readParts(parts: SpanParts): ReadSpan {
  const [read] = readResourceSpans(resourceSpansOf(parts));
  if (read === undefined || read instanceof KmsError) throw read ?? new Error("there is no span");
  return read;
}
