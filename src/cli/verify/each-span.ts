/** What `verify` says of spans, each for itself. */
import { explanationOf, type JudgedSpan } from "./judged-spans.ts";
import { printLine, printTable } from "../print.ts";

export interface Result {
  ok: boolean;
  print(): void;
  json(): unknown;
}

export function verifyEach(spans: readonly JudgedSpan[]): Result {
  const verified = spans.filter((each) => each.verified).length;
  const failed = spans.length - verified;
  return {
    ok: verified > 0 && failed === 0,

    print() {
      printTable(spans.map(row));
      if (spans.length === 0) printLine("there are no spans in the file");
      else printLine(`${verified} of ${spans.length} verified${failed > 0 ? `, ${failed} failed` : ""}`);
    },

    json: () => ({ verified, failed, spans: spans.map(spanJson) }),
  };
}

function row(span: JudgedSpan) {
  const { traceId = "-", spanId = "-", reason, keyId, keyState, signedAt, place } = span;
  const index = place === undefined ? "" : `entry ${place.claim.index}`;
  const about = reason === "OK" ? [signedAt, keyId, keyState, index].join("  ").trimEnd() : explanationOf(span);
  return [`${traceId}/${spanId}`, reason, about];
}

function spanJson({ traceId, spanId, verified, reason, keyId, keyState, signedAt, message, place }: JudgedSpan) {
  return {
    trace_id: traceId,
    span_id: spanId,
    verified,
    reason,
    message,
    key_id: keyId,
    key_state: keyState,
    signed_at: signedAt,
    log: place?.claim.checkpoint.origin,
    leaf_index: place?.claim.index,
  };
}
