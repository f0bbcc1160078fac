/** What the page and its worker say to each other. */
import type { Asked, Facts } from "../../src/verification-report/facts.ts";
import type { ReportOrigin } from "../../src/verification-report/html.ts";
import type { Explanation, SpanRow } from "./verification.ts";

/** Files are read in the worker, so that the page holds no bytes of them. */
export interface AskedFiles {
  spans: File;
  keys: File;
  checkpoints: readonly File[];
  asked: Asked;
}

export interface RowFilter {
  /** A verdict, or empty for all. */
  verdict: string;
  /** A part of a trace id, span id or name, or empty for all. */
  text: string;
  /** Counted from 0. */
  page: number;
}

export interface RowPage {
  rows: readonly SpanRow[];
  /** How many rows the filter leaves. */
  matching: number;
  /** Counted from 0: the last page where the one that was asked is past the end. */
  page: number;
  /** The verdicts that occur, each with its number of spans. */
  verdicts: readonly { verdict: string; spans: number }[];
}

/** Each request by its kind, and its response. */
export interface Exchanges {
  verify: { request: AskedFiles; response: Facts };
  rows: { request: RowFilter; response: RowPage };
  explain: { request: { position: number }; response: Explanation };
  report: { request: Omit<ReportOrigin, "command">; response: { html: string } };
}

export type Kind = keyof Exchanges;

export type ToWorker = { [K in Kind]: { id: number; kind: K; request: Exchanges[K]["request"] } }[Kind];

export type FromWorker =
  | { progress: { done: number; total: number } }
  | { id: number; response: Exchanges[Kind]["response"] }
  | { id: number; failure: string };

export const rowsAPage = 100;
