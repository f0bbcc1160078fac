/** Batches on the wire. Their spans are encoded once: what is measured is the service. */
import { create } from "@bufbuild/protobuf";
import type { SignMode } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { AnyValueSchema, KeyValueSchema, type Span } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { len, message, varint } from "../support/otlp-wire.ts";
import { batchOf, spansFrom } from "../support/span-batches.ts";
import { encodeBatch } from "../support/stream-client.ts";

/** Of a span, in bytes: as large as spans commonly are. */
const paddingBytes = 320;

const padding = create(KeyValueSchema, {
  key: "url.query",
  value: create(AnyValueSchema, { value: { case: "stringValue", value: "x".repeat(paddingBytes) } }),
});

export const spans: readonly Span[] = spansFrom(0, 10_000).map((span) => ({ ...span, attributes: [padding] }));
const encoded = new Map<number, Uint8Array>();

export interface BatchShape {
  tenantId: string;
  mode: SignMode;
  requestId: string;
  /** The first so many of `spans`. */
  count: number;
}

export function encodedBatch({ tenantId, mode, requestId, count }: BatchShape): Uint8Array {
  let resourceSpans = encoded.get(count);
  if (resourceSpans === undefined) {
    resourceSpans = encodeBatch(batchOf(spans.slice(0, count)));
    encoded.set(count, resourceSpans);
  }
  return message(resourceSpans, len(2, tenantId), varint(3, mode), len(4, requestId));
}
