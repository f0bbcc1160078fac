/** The requests that are measured, as wire bytes, and the parts of them that the bare limits work on. */
import { create, toBinary } from "@bufbuild/protobuf";
import { GenerateDataKeyRequestSchema } from "../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { EncryptPiiRequestSchema } from "../gen/ts/fluo/kms/v1/pii_pb.ts";
import { SignSpanRequestSchema } from "../gen/ts/fluo/kms/v1/signing_pb.ts";
import { Span_SpanKind, SpanStatus_StatusCode } from "../gen/ts/fluo/kms/v1/span_pb.ts";

export const tenantId = "acme-bank";
export const fieldsPerCall = 20;

const names = ["email", "phone", "full_name", "iban", "street_address"];
const values = [
  "anna.schmidt@example.com",
  "+49 30 901820",
  "Anna Schmidt",
  "DE89370400440532013000",
  "Karl-Marx-Allee 33",
];

export const piiFields = Array.from({ length: fieldsPerCall }, (_, index) => ({
  name: `${names[index % names.length]}_${index}`,
  value: new Uint8Array(Buffer.from(values[index % values.length]!)),
}));

/** A decision about a payment, as an instrumented service exports it: 434 bytes of span. */
export const span = {
  traceId: Buffer.from("4bf92f3577b34da6a3ce929d0e0e4736", "hex"),
  spanId: Buffer.from("00f067aa0ba902b7", "hex"),
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

function text(key: string, value: string) {
  return { key, value: { value: { case: "stringValue" as const, value } } };
}

export const requests = {
  SignSpan: toBinary(SignSpanRequestSchema, create(SignSpanRequestSchema, { tenantId, span })),
  EncryptPii: toBinary(EncryptPiiRequestSchema, create(EncryptPiiRequestSchema, { tenantId, fields: piiFields })),
  GenerateDataKey: toBinary(GenerateDataKeyRequestSchema, create(GenerateDataKeyRequestSchema, { tenantId })),
};

export type Method = keyof typeof requests;
