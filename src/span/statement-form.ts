/**
 * The statements of a batch in memory: of the same tenant, key and time, they differ in ids and digest alone, whose lengths are fixed. So
 * their text is written once, and filled in for each span.
 */
import { writeHex } from "./digits.ts";
import { spanIdBytes, traceIdBytes } from "./span-parts.ts";

/** What a statement says about its span. */
export interface AboutSpan {
  /** Lower-case hex. */
  traceId: string;
  spanId: string;
  /** SHA-256 of the canonical form, lower-case hex. */
  digest: string;
}

export interface StatementForm {
  /** The text, with what was put before it. */
  readonly bytes: Buffer;
  /** Makes it the statement of the span whose ids lie there on the wire. */
  fill(wire: Uint8Array, traceIdAt: number, spanIdAt: number, digest: string): void;
}

/** Capitals, of which no statement has so many in a row. */
export const blankSpan: AboutSpan = { traceId: "T".repeat(32), spanId: "S".repeat(16), digest: "D".repeat(64) };

/** `text` has a statement about the blank span. */
export function statementForm(text: string): StatementForm {
  const bytes = Buffer.from(text);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const traceIdPlace = bytes.indexOf(blankSpan.traceId);
  const spanIdPlace = bytes.indexOf(blankSpan.spanId);
  const digestPlace = bytes.indexOf(blankSpan.digest);
  return {
    bytes,
    fill(wire, traceIdAt, spanIdAt, digest) {
      writeHex(view, traceIdPlace, wire, traceIdAt, traceIdAt + traceIdBytes);
      writeHex(view, spanIdPlace, wire, spanIdAt, spanIdAt + spanIdBytes);
      bytes.write(digest, digestPlace, "latin1");
    },
  };
}
