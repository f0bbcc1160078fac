/** Walks through a table, page by page, each behind the last row of the one before it. */
import type { RowValue } from "./mac.ts";
import { altered } from "./rows.ts";

/** Values of the columns of an order. */
export type Place = readonly RowValue[];

/**
 * Gives `end`, where a page ended that began behind `after`. DATA_LOSS where that is not further on: a damaged file can lead back, and the walk
 * would go round for ever. `what` names what is walked through.
 */
export function onward<P extends Place>(what: string, after: Place | undefined, end: P): P {
  if (after === undefined || compare(end, after) > 0) return end;
  throw altered(`the order of ${what}`);
}

function compare(a: Place, b: Place): number {
  const differing = a.findIndex((value, at) => compareValues(value, b[at]!) !== 0);
  return differing < 0 ? 0 : compareValues(a[differing]!, b[differing]!);
}

/** As the databases order values: first by their types. */
function compareValues(a: RowValue, b: RowValue): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  return rankOf(a) - rankOf(b);
}

/** As the databases order text: by bytes. */
export function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function rankOf(value: RowValue): number {
  if (value === null) return 0;
  return typeof value === "number" ? 1 : typeof value === "string" ? 2 : 3;
}
