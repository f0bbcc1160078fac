/** Batches of spans as callers make them, and the evidence that a caller makes of what comes back. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { SignedSpan, SignSpansRequestSchema, SignSpansResponse } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { AnyValueSchema, KeyValueSchema, type Span, SpanSchema } from "../../gen/ts/fluo/kms/v1/span_pb.ts";

export type Batch = MessageInitShape<typeof SignSpansRequestSchema>;

/** The n-th of many. */
export function numberedSpan(n: number): Span {
  const spanId = Buffer.alloc(8, 1);
  spanId.writeUInt32BE(n + 1, 4);
  return create(SpanSchema, { traceId: Buffer.alloc(16, 7), spanId, name: `decide ${n}` });
}

export function spansFrom(from: number, to: number): Span[] {
  return Array.from({ length: to - from }, (_, index) => numberedSpan(from + index));
}

/** One batch of these spans, and whatever else the request says. */
export function batchOf(spans: Span[], rest: Omit<Batch, "resourceSpans" | "$typeName"> = {}): Batch {
  return { ...rest, resourceSpans: [{ scopeSpans: [{ spans }] }] } as Batch;
}

/** Of each span, in order. Throws for one that was refused. */
export function signedOf(...responses: readonly (SignSpansResponse | undefined)[]): SignedSpan[] {
  return responses.flatMap((response) =>
    response!.results.map(({ result }) => {
      if (result.case !== "signed") throw new Error(`not signed: ${result.value?.field} ${result.value?.message}`);
      return result.value;
    }),
  );
}

/** A span that was signed in mode INDIVIDUAL, with its signature put on it. */
export function withSignature(span: Span, tenantId: string, signed: SignedSpan): Span {
  return withIntegrity(span, {
    algorithm: "EdDSA",
    value: Buffer.from(signed.signature).toString("base64"),
    key_id: signed.keyId,
    tenant: tenantId,
    signed_at: signedAtOf(signed),
  });
}

/** A span that was signed in mode LOG, with its proof put on it. */
export function withProof(span: Span, tenantId: string, signed: SignedSpan): Span {
  return withIntegrity(span, {
    algorithm: "c2sp.org/tlog-proof@v1",
    value: Buffer.from(signed.proof).toString("base64"),
    tenant: tenantId,
    signed_at: signedAtOf(signed),
  });
}

function signedAtOf({ signedAt }: SignedSpan): string {
  return new Date(Number(signedAt!.seconds) * 1_000 + signedAt!.nanos / 1_000_000).toISOString();
}

function withIntegrity(span: Span, values: Record<string, string>): Span {
  const attributes = Object.entries(values).map(([name, value]) =>
    create(KeyValueSchema, {
      key: `audit.integrity.${name}`,
      value: create(AnyValueSchema, { value: { case: "stringValue", value } }),
    }),
  );
  return create(SpanSchema, { ...span, attributes: [...span.attributes, ...attributes] });
}
