/** The spans of an export with what there is to say of each alone. */
import { type ReadSpan, spansOf } from "./canonical.ts";
import { type ExportPart, exportParts } from "./export-file.ts";
import { type Judged, judge } from "./judge.ts";
import type { KeySet } from "./key-set.ts";
import { MalformedError, tried } from "./malformed.ts";
import { refusal, type Verdict } from "./verdict.ts";

export interface JudgedSpan extends Omit<Judged, "claim"> {
  /** The span's own name; undefined where it cannot be read. */
  name: string | undefined;
  origin: SpanOrigin;
}

/** Where in the bytes of an export a span is. */
export interface SpanOrigin {
  part: Pick<ExportPart, "start" | "end">;
  /** How many spans are before it in the part. */
  nth: number;
}

export interface JudgeOptions {
  /** Who must have signed; without it, whom each span names. */
  tenant?: string | undefined;
  /** Told after every few spans how many bytes of the export are done. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Judged at a time. Node hashes and verifies in other threads: a hash takes 42 µs if it is awaited alone, and 5 µs among others. */
const spansAtOnce = 128;

/** Throws UnreadableExportError for bytes that are no export. What was read of a span is not kept. */
export async function judgeExport(
  keys: KeySet,
  bytes: Uint8Array,
  { tenant, onProgress }: JudgeOptions,
): Promise<JudgedSpan[]> {
  const judgeSpan = judge(keys);

  async function judged({ span, origin }: PlacedSpan): Promise<JudgedSpan> {
    if (span instanceof MalformedError) return { verdict: malformed(span), name: undefined, origin };
    const { verdict, place } = await judgeSpan(span, tenant ?? span.integrity.tenant ?? "");
    return { verdict, place, name: span.name, origin };
  }

  const all: JudgedSpan[] = [];
  let waiting: PlacedSpan[] = [];
  async function judgeWaiting(): Promise<void> {
    for (const each of await Promise.all(waiting.map(judged))) all.push(each);
    onProgress?.(waiting.at(-1)?.end ?? bytes.length, bytes.length);
    waiting = [];
  }
  for (const span of placedSpans(bytes)) if (waiting.push(span) === spansAtOnce) await judgeWaiting();
  await judgeWaiting();
  return all;
}

/** Reads one span again. */
export function readSpanAt(bytes: Uint8Array, { part: { start, end }, nth }: SpanOrigin): ReadSpan | MalformedError {
  for (const { span, origin } of placedSpans(bytes.subarray(start, end))) if (origin.nth === nth) return span;
  throw new Error("the export has no such span");
}

interface PlacedSpan {
  span: ReadSpan | MalformedError;
  origin: SpanOrigin;
  /** About how many bytes of the export end with it. */
  end: number;
}

function* placedSpans(bytes: Uint8Array): Generator<PlacedSpan, void, undefined> {
  for (const { start, end, messages } of exportParts(bytes)) {
    const part = { start, end };
    let nth = 0;
    for (const [i, readMessage] of messages.entries()) {
      const message = tried(readMessage);
      const ofMessage = Math.round(start + ((end - start) * (i + 1)) / messages.length);
      for (const read of message instanceof MalformedError ? [() => message] : spansOf(message)) {
        yield { span: read(), origin: { part, nth }, end: ofMessage };
        nth += 1;
      }
    }
  }
}

export function malformed({ message }: MalformedError): Verdict {
  return refusal("MALFORMED", { message });
}
