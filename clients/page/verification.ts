/**
 * Verifies files that somebody gave, and says what came of it as facts of a report, span by span, and step by step. It runs in a worker of
 * the page, and needs no DOM.
 */
import type { Asked, Facts, FailureReason } from "../../src/verification-report/facts.ts";

export interface NamedFile {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

export interface Question {
  spans: NamedFile;
  keys: NamedFile;
  checkpoints: readonly NamedFile[];
  asked: Asked;
}

export interface Verification {
  facts: Facts;
  /** One for each span of the file, in order. */
  rows: readonly SpanRow[];
  /** The evidence of a span, by its position from 1. */
  explain(position: number): Promise<Explanation>;
}

export interface SpanRow {
  /** In the file, from 1. */
  position: number;
  /** `<trace id>/<span id>`; undefined where the span cannot be read. */
  span: string | undefined;
  /** The span's own name. */
  name: string | undefined;
  verdict: "OK" | FailureReason;
  /** What is wrong, for people; empty if nothing is. */
  message: string;
  signedAt: string | undefined;
  keyId: string | undefined;
  /** Origin of the log, and the entry's index there. */
  log: string | undefined;
  entry: number | undefined;
}

/** The evidence of one span, step by step. */
export interface Explanation {
  steps: readonly Step[];
}

export interface Step {
  title: string;
  /** Undefined for a step that only shows what was computed. */
  holds: boolean | undefined;
  sentence: string;
  details: readonly Detail[];
}

export interface Detail {
  label: string;
  /** May have several lines. */
  text: string;
}

/**
 * Throws an Error whose message is a sentence for people, where the question cannot be answered at all. `done` of `total` are bytes of the spans
 * file, not spans: how many there are shows at its end.
 */
export async function verifyFiles(
  _question: Question,
  _onProgress: (done: number, total: number) => void,
): Promise<Verification> {
  throw new Error("not yet");
}
