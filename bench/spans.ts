/** The spans that are signed, alone and in batches: all alike, but each with a span id of its own. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type SignMode, SignSpanRequestSchema, SignSpansRequestSchema } from "../gen/ts/fluo/kms/v1/signing_pb.ts";
import { Span_SpanKind, SpanSchema, SpanStatus_StatusCode } from "../gen/ts/fluo/kms/v1/span_pb.ts";

/** A decision about a payment, as an instrumented service exports it: 434 bytes of span. */
export function spanOf(turn: number): MessageInitShape<typeof SpanSchema> {
  return { ...span, spanId: spanId(turn) };
}

const span = {
  traceId: Buffer.from("4bf92f3577b34da6a3ce929d0e0e4736", "hex"),
  parentSpanId: Buffer.from("53995c3f42cd8ad8", "hex"),
  name: "payments.authorize",
  kind: Span_SpanKind.SERVER,
  startTimeUnixNano: 1_767_225_600_123_456_789n,
  endTimeUnixNano: 1_767_225_600_171_456_789n,
  attributes: [
    text("http.request.method", "POST"),
    text("url.path", "/v1/payments"),
    { key: "http.response.status_code", value: { value: { case: "intValue" as const, value: 201n } } },
    text("server.address", "payments.acme-bank.example"),
    text("compliance.framework", "DORA"),
    text("compliance.decision", "allow"),
    text("compliance.policy.id", "psd2-sca-2026-01"),
    text("enduser.pseudo.id", "u-7f3a9c1e5b2471"),
    { key: "payment.amount.minor", value: { value: { case: "intValue" as const, value: 125_050n } } },
    { key: "payment.sca.exempt", value: { value: { case: "boolValue" as const, value: false } } },
  ],
  status: { code: SpanStatus_StatusCode.OK },
  flags: 257,
};

const resource = { attributes: [text("service.name", "payments")] };
const scope = { name: "payments-instrumentation" };

function text(key: string, value: string) {
  return { key, value: { value: { case: "stringValue" as const, value } } };
}

function spanId(turn: number): Uint8Array {
  const id = Buffer.alloc(8);
  id.writeBigUInt64BE(0x00f0_67aa_0000_0000n + BigInt(turn));
  return id;
}

/** The spans alone, so many. */
export function spanBytes(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, turn) => toBinary(SpanSchema, create(SpanSchema, spanOf(turn))));
}

/** SignSpanRequests, so many. */
export function signSpanRequests(tenantId: string, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, turn) =>
    toBinary(SignSpanRequestSchema, create(SignSpanRequestSchema, { tenantId, span: spanOf(turn) })),
  );
}

/** SignSpansRequests of one resource and scope, as an exporter sends them, without what `opening` says. */
export function batches(count: number, spansEach: number): Uint8Array[] {
  return Array.from({ length: count }, (_, batch) => {
    const spans = Array.from({ length: spansEach }, (_, index) => spanOf(batch * spansEach + index));
    const request = { resourceSpans: [{ resource, scopeSpans: [{ scope, spans }] }] };
    return toBinary(SignSpansRequestSchema, create(SignSpansRequestSchema, request));
  });
}

/** What the first batch of a stream says beside its spans. On the wire it may stand behind them. */
export function opening(tenantId: string, mode: SignMode, withAttributes: boolean): Uint8Array {
  return toBinary(SignSpansRequestSchema, create(SignSpansRequestSchema, { tenantId, mode, withAttributes }));
}
