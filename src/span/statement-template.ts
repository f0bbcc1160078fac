/**
 * The statements of a batch differ in a span's ids and digest alone, all of fixed length: so a statement's bytes are made once a batch, and
 * for each span three pieces are written into them. The bytes stay the same memory, which is used before the next span is written.
 */

/** Lower-case hex. */
export interface SpanParts {
  traceId: string;
  spanId: string;
  /** Of 32 bytes. */
  digest: string;
}

export interface StatementTemplate {
  /** The statement of the span that was written last. */
  readonly bytes: Buffer;
  write(span: SpanParts): void;
}

// Characters that no part of a statement has.
const blank: SpanParts = { traceId: "#".repeat(32), spanId: "!".repeat(16), digest: "~".repeat(64) };

/** `build` gives a span's statement, in ASCII, with what stands before it. */
export function statementTemplate(build: (span: SpanParts) => string): StatementTemplate {
  const text = build(blank);
  const bytes = Buffer.from(text, "latin1");
  const traceIdAt = text.indexOf(blank.traceId);
  const spanIdAt = text.indexOf(blank.spanId);
  const digestAt = text.indexOf(blank.digest);
  return {
    bytes,
    write({ traceId, spanId, digest }) {
      bytes.write(traceId, traceIdAt, "latin1");
      bytes.write(spanId, spanIdAt, "latin1");
      bytes.write(digest, digestAt, "latin1");
    },
  };
}
