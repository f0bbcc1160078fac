/**
 * The part of the store's contract that lets everything that is stored be examined beside calls: piece by piece, each a read of one moment
 * that takes less than about 100 ms. See store.ts for what holds for every part.
 */
import type { RowProblem } from "./row-problem.ts";

export interface IntegrityStore {
  /**
   * Examines the next piece of the store: rows and their HMACs, records against the audit trail, the chains of the trail, logs against their
   * roots, and the indexes of a SQLite file. Begins with the first piece; to be called with `next` until that is undefined. What a piece finds
   * is of one moment, and a second call with the same cursor looks at it again.
   */
  examine(from?: ExamineCursor): Promise<ExaminedPiece>;

  /** About how many rows and entries `examine` goes through. */
  examinedRows(): Promise<number>;
}

/** A place in the examination. Plain data. */
export interface ExamineCursor {
  /** The name of the part: a table, or what is examined of several. */
  part: string;
  /** Place in that part; undefined at its beginning. */
  at: unknown;
}

export interface ExaminedPiece {
  /** Rows and entries that were looked at. */
  rows: number;
  problems: RowProblem[];
  next: ExamineCursor | undefined;
}
