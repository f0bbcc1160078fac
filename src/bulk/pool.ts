/**
 * Batches of spans from bytes to bytes, in a pool of threads, one a core: the main thread moves bytes. See worker.ts for what a thread does.
 */
import type { UsableSigningKey } from "../keys/usable.ts";
import type { Growth } from "../span/merkle.ts";

/** A span that was refused, in the place that it has in its batch. */
export interface RefusedSpan {
  /** Counts the batch's spans from 0. */
  at: number;
  field: string;
  message: string;
}

/** The whole message of a SignSpansRequest, of which the ResourceSpans are read. Given away: its memory moves to a thread. */
export type BatchBytes = Uint8Array;

export interface SignedBatch {
  /** SignSpansResponses on the wire, each under 1 MiB, the last one with batch_done. */
  messages: Uint8Array[];
  signed: number;
  refused: number;
}

/** A batch as entries of a log, before it has a place there. */
export interface LogBatch {
  /** How many spans it has, those that were refused too. */
  spans: number;
  /** Leaf hashes, 32 bytes each, of the spans that were not refused. */
  leaves: Uint8Array;
  /** Their entries: each as a big-endian length of two bytes and its bytes. */
  entries: Uint8Array;
  refused: readonly RefusedSpan[];
  signedAtMs: number;
  requestId: string;
  /** Hex SHA-256 of the batch's ResourceSpans on the wire; "" where it has no request id. */
  digest: string;
}

/** Where a batch came to lie. */
export interface LogPlace {
  /** Of the batch's first entry. */
  firstIndex: number;
  /** What proves the entries: the growth that they were part of; or, of a batch that was stored before, the path of each, from the leaf up. */
  siblings: Growth | readonly Uint8Array[];
  /** The signed note of the tree in which they are proven. */
  checkpoint: string;
}

export interface BatchPool {
  /**
   * INDIVIDUAL: a signature for each span. INVALID_ARGUMENT for a batch that cannot be read or has more than 10,000 spans. The key is
   * used as it is now; it may be destroyed meanwhile.
   */
  sign(
    batch: BatchBytes,
    by: { tenant: string; key: UsableSigningKey; requestId: string; signedAtMs: number },
  ): Promise<SignedBatch>;

  /** LOG, first half: the entries of a batch. INVALID_ARGUMENT likewise. */
  enter(batch: BatchBytes, about: { tenant: string; requestId: string; signedAtMs: number }): Promise<LogBatch>;

  /** A tree with more leaves, as `growTree` does it. */
  grow(before: Growth["before"], leaves: Uint8Array): Promise<Growth>;

  /**
   * LOG, second half: one SignSpansResponse under 1 MiB with the results of the spans from `fromSpan` on, and the span at which the next
   * one begins; undefined after the last one, which has batch_done and the checkpoint.
   */
  prove(batch: LogBatch, place: LogPlace, fromSpan: number): Promise<{ message: Uint8Array; next: number | undefined }>;

  /** Ends the threads, after what they are at. Their secrets are overwritten. */
  close(): Promise<void>;
}
