/** The parts of an examination: each goes through one kind of thing that is stored, a piece at a time. */
import type { RowMac } from "../sql/rows/mac.ts";
import type { Query } from "../sql/rows/database.ts";
import type { RowProblem } from "../row-problem.ts";

export interface Moment {
  /** Reads of one moment. */
  query: Query;
  mac: RowMac;
}

export interface Piece<Place> {
  /** Rows and entries that were looked at. */
  rows: number;
  problems: RowProblem[];
  /** Plain data; undefined at the end. */
  next: Place | undefined;
}

export interface Part {
  name: string;
  /** Whether damage that keeps rows of it from being read is damage of the audit trail or of the store key. */
  isTrail: boolean;
  examine(moment: Moment, at: unknown): Promise<Piece<unknown>>;
}

/** Places come back as they were given out. */
export function part<Place>(
  name: string,
  examine: (moment: Moment, at: Place | undefined) => Promise<Piece<Place>>,
  { isTrail = false } = {},
): Part {
  return { name, isTrail, examine: (moment, at) => examine(moment, at as Place | undefined) };
}
