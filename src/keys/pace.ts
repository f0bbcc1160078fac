/** Work on many things in a service that answers calls meanwhile: a few at once, so many a second, and a turn of the loop in between. */
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Time } from "../runtime/time.ts";

export interface PaceOptions {
  perSecond: number;
  time: Time;
}

/** Resolves when the next piece of work may begin, in order of the calls; or when the signal aborts, for the caller to look at. */
export type Pace = (signal?: AbortSignal) => Promise<void>;

export function createPace({ perSecond, time }: PaceOptions): Pace {
  let freeAt = Number.NEGATIVE_INFINITY;
  return async (signal) => {
    const at = time.monotonicMs();
    const startAt = Math.max(freeAt, at);
    freeAt = startAt + 1000 / perSecond;
    if (startAt > at) await time.sleep(startAt - at, { ref: false, signal }).catch(() => {});
    else await nextTurn();
  };
}

/** Results in the order of `items`. After an error nothing more begins, and it is thrown when all that had begun has ended. */
export async function eachOf<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length);
  const waiting = items.entries();
  let problem: { error: unknown } | undefined;
  async function worker(): Promise<void> {
    for (const [index, item] of waiting) {
      if (problem !== undefined) return;
      try {
        results[index] = await work(item);
      } catch (error) {
        problem ??= { error };
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (problem !== undefined) throw problem.error;
  return results;
}
