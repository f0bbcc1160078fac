/** An export cut into batches that a service takes: in order, well below its limits, always at the same places. */
import { Failure } from "../command.ts";
import type { ExportedSpan } from "./export-file.ts";
import { addedBytes, encodeParts, type Part } from "./export-parts.ts";

/** The service takes 10,000 and 4 MiB. Smaller batches show progress, and less is sent again where a stream breaks. */
const [maxSpans, maxBytes] = [1_000, 1024 * 1024];
/** Leaves room for tenant, mode and request_id. */
const maxMessageBytes = 4 * 1024 * 1024 - 1024;

/** Each as the ResourceSpans fields of a message, with how many spans it has. */
export function batchesOf(spans: readonly ExportedSpan[]): { resourceSpans: Uint8Array; spans: number }[] {
  const batches: Part[][] = [];
  let bytes = 0;
  for (const span of spans) {
    const batch = batches.at(-1);
    const added = addedBytes(span.part, batch?.at(-1));
    if (batch !== undefined && batch.length < maxSpans && bytes + added <= maxBytes) {
      batch.push(span.part);
      bytes += added;
    } else {
      batches.push([span.part]);
      bytes = addedBytes(span.part, undefined);
      if (bytes > maxMessageBytes) throw tooLarge(span);
    }
  }
  return batches.map((batch) => ({ resourceSpans: encodeParts(batch), spans: batch.length }));
}

function tooLarge({ file, number, name }: ExportedSpan): Failure {
  return new Failure(
    `${file}: span ${number}, ${name}, is larger with its resource than the 4 MiB that a message may have`,
  );
}
