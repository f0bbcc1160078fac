/** Batches of spans, as SignSpansRequests on the wire, and their answers. */
import { fromBinary } from "@bufbuild/protobuf";
import {
  type SpanResult,
  type SignSpansResponse,
  SignSpansResponseSchema,
} from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { type LogPosition, type ProvenBatch, proveBatch } from "../../src/batch/prove.ts";
import { maxAnswerBytes } from "../../src/batch/results.ts";
import { type Bytes, hex, intValue, keyValue, len, message, stringValue } from "./otlp-wire.ts";

const out = Buffer.alloc(maxAnswerBytes);

export const resource = len(1, keyValue("service.name", stringValue("loans")));
export const scope = message(len(1, "loans.decisions"), len(2, "1.0"));

/** The n-th of many spans: with ids of its own. */
export function numberedSpan(n: number): Bytes {
  const id = n.toString(16).padStart(16, "0");
  return message(
    len(1, hex(`5b8efff7${id}13fc60c1`)),
    len(2, hex(`ee${id.slice(2)}`)),
    len(5, "decide"),
    len(9, keyValue("n", intValue(n))),
    len(9, keyValue("approved", stringValue("yes"))),
  );
}

/** A span with a field that nobody knows. */
export const badSpan = len(17, "");

/** A SignSpansRequest of these spans under one resource and scope. */
export function batchOf(spans: readonly Bytes[]): Bytes {
  return len(1, message(len(1, resource), len(2, message(len(1, scope), ...spans.map((span) => len(2, span))))));
}

export const spansFrom = (from: number, to: number): Bytes[] =>
  Array.from({ length: to - from }, (_, i) => numberedSpan(from + i));

export function decoded(messages: readonly Uint8Array[]): SignSpansResponse[] {
  return messages.map((each) => fromBinary(SignSpansResponseSchema, each));
}

export function resultsOf(messages: readonly Uint8Array[]): SpanResult[] {
  return decoded(messages).flatMap(({ results }) => results);
}

/** All answers to a batch that has its place in a log. */
export function provenMessages(batch: ProvenBatch, place: LogPosition): Uint8Array[] {
  const messages: Uint8Array[] = [];
  for (let from: number | undefined = 0; from !== undefined; ) {
    const { message, next }: ReturnType<typeof proveBatch> = proveBatch(batch, place, from, out);
    messages.push(message);
    from = next;
  }
  return messages;
}
