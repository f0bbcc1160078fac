/** Spans cut into batches that the service takes: in order, well below its limits. */
import type { SignMode } from "../messages.ts";
import { addedBytes, exportOf, type SpanPart } from "./otlp-parts.ts";
import { batchMessage } from "./span-stream.ts";

/**
 * Spans that go to the service as one message, under one request_id from the batch's making to its end: however often it is sent, in
 * mode LOG each of its spans has one place in the log. Made by `split` of a SpanSigner.
 */
export interface SpanBatch {
  readonly requestId: string;
  /** A serialised SignSpansRequest. */
  readonly message: Uint8Array;
  /** How many spans it has. */
  readonly spans: number;
  /** Whether no message can hold it, which only a single span can bring about. */
  readonly isTooLarge: boolean;
}

export interface BatchTerms {
  tenantId: string;
  mode: SignMode;
  /** Gives each batch its own. */
  nextRequestId(): string;
}

/** The service takes 10,000 and 4 MiB. Of smaller batches less is sent again where a stream breaks. */
const [maxSpans, maxBytes] = [1_000, 1024 * 1024];
/** Leaves room for the other fields of the message. */
const largestSpanBytes = 4 * 1024 * 1024 - 1024;

/** Batches that are at most 1,000 spans and 1 MiB, or one span. A span that no message holds is a batch of its own, too large. */
export function batchesOf(
  parts: readonly SpanPart[],
  { tenantId, mode, nextRequestId }: BatchTerms,
): readonly SpanBatch[] {
  return cut(parts).map(({ parts, bytes }) => {
    const requestId = nextRequestId();
    const message = batchMessage(exportOf(parts), { tenantId, mode, requestId });
    return { requestId, message, spans: parts.length, isTooLarge: bytes > largestSpanBytes };
  });
}

function cut(all: readonly SpanPart[]): { parts: SpanPart[]; bytes: number }[] {
  const pieces: { parts: SpanPart[]; bytes: number }[] = [];
  for (const part of all) {
    const piece = pieces.at(-1);
    const added = addedBytes(part, piece?.parts.at(-1));
    if (piece !== undefined && piece.parts.length < maxSpans && piece.bytes + added <= maxBytes) {
      piece.parts.push(part);
      piece.bytes += added;
    } else pieces.push({ parts: [part], bytes: addedBytes(part, undefined) });
  }
  return pieces;
}
