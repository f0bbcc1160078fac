/**
 * One pass over everything that is stored, which works a twentieth of the time: after each piece it rests 19 times as long as the piece took,
 * the wait for its turn included, but at most 2 s. What a piece finds is told only if a second look finds it too.
 */
import type { Time } from "../runtime/time.ts";
import { hasCode, KmsError } from "../errors.ts";
import type { ExamineCursor, ExaminedPiece } from "../store/integrity-store.ts";
import type { RowProblem } from "../store/row-problem.ts";
import type { Store } from "../store/store.ts";

export interface PassParts {
  store: Pick<Store, "examine" | "examinedRows">;
  time: Time;
  /** Called with what two looks found. */
  found(problems: readonly RowProblem[]): void;
  /** Called after each piece with the rows that were examined, of about how many. */
  progress(rows: number, total: number): void;
  /** Called with the error of each read that failed, and is tried again. */
  failed?(error: KmsError): void;
}

const restFactor = 19;
const longestRestMs = 2_000;
/** Time between the two looks. */
const secondLookMs = 1_000;
/** Time until a piece is read again if its reading failed. */
const retryMs = 10_000;

/** Rejects when the signal aborts. A store that does not answer is waited for. */
export async function runPass(parts: PassParts, signal: AbortSignal): Promise<void> {
  const { store, time, found, progress } = parts;
  const patiently = insisting(parts, signal);
  const total = await patiently(() => rowsOf(store));
  let rows = 0;
  let from: ExamineCursor | undefined;
  do {
    const began = time.monotonicMs();
    const first = await patiently(() => store.examine(from));
    const took = time.monotonicMs() - began;
    const piece = first.problems.length === 0 ? first : await confirmed(first, from);
    if (piece.problems.length > 0) found(piece.problems);
    rows += piece.rows;
    progress(rows, total);
    await rest(time, Math.min(longestRestMs, took * restFactor), signal);
    from = piece.next;
  } while (from !== undefined);

  /**
   * The piece as it is once all that is wrong in it was seen before. It may end elsewhere than at the first look, because rows came or went, and
   * the pass goes on from there: nothing between the two ends is left out.
   */
  async function confirmed(first: ExaminedPiece, at: ExamineCursor | undefined): Promise<ExaminedPiece> {
    const before = new Set(first.problems.map(nameOf));
    for (;;) {
      await rest(time, secondLookMs, signal);
      const piece = await patiently(() => store.examine(at));
      const names = piece.problems.map(nameOf);
      if (names.every((name) => before.has(name))) return piece;
      for (const name of names) before.add(name);
    }
  }
}

/** 0 for a store so damaged that it cannot be counted. */
function rowsOf(store: PassParts["store"]): Promise<number> {
  return store.examinedRows().catch((error) => {
    if (hasCode(error, "DATA_LOSS")) return 0;
    throw error;
  });
}

/** Name of the thing that a problem is about. Numbers in its words may grow. */
export function nameOf({ kind, tenantId, keyId, log = 0 }: RowProblem): string {
  return `${kind}/${tenantId}/${keyId}/${log}`;
}

function insisting({ failed = () => {}, time }: Pick<PassParts, "failed" | "time">, signal: AbortSignal) {
  return async <T>(read: () => Promise<T>): Promise<T> => {
    for (;;) {
      signal.throwIfAborted();
      try {
        return await read();
      } catch (error) {
        if (!(error instanceof KmsError)) throw error;
        failed(error);
        await rest(time, retryMs, signal);
      }
    }
  };
}

function rest(time: Time, ms: number, signal: AbortSignal): Promise<void> {
  return time.sleep(ms, { signal, ref: false });
}
