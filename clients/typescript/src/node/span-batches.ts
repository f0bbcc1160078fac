/** Spans cut into batches that the service takes: in order, well below its limits. */
import { addedBytes, type SpanPart } from "./otlp-parts.ts";

/** The service takes 10,000 and 4 MiB. Of smaller batches less is sent again where a stream breaks. */
const [maxSpans, maxBytes] = [1_000, 1024 * 1024];
/** Leaves room for the other fields of the message. */
const largestSpanBytes = 4 * 1024 * 1024 - 1024;

/** Batches that are at most 1,000 spans and 1 MiB, or one span. A span that no message holds is a batch of its own, too large. */
export function batchesOf(parts: readonly SpanPart[]): { parts: SpanPart[]; isTooLarge: boolean }[] {
  const batches: { parts: SpanPart[]; isTooLarge: boolean }[] = [];
  let bytes = 0;
  for (const part of parts) {
    const batch = batches.at(-1);
    const added = addedBytes(part, batch?.parts.at(-1));
    if (batch !== undefined && batch.parts.length < maxSpans && bytes + added <= maxBytes) {
      batch.parts.push(part);
      bytes += added;
    } else {
      bytes = addedBytes(part, undefined);
      batches.push({ parts: [part], isTooLarge: bytes > largestSpanBytes });
    }
  }
  return batches;
}
