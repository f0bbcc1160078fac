/** Costly work that runs one at a time, however many ask for it: the next waits. And, where that is asked for, not often for one of them. */
import { rateLimited } from "../../errors.ts";
import { abandonOn } from "../deadline.ts";
import type { Time } from "../time.ts";

export interface Turns {
  /** RATE_LIMITED where `by` began too lately. Whoever stops waiting leaves the turn to the next. */
  take<T>(by: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

export interface TurnsOptions {
  /** Least time between two of one caller; 0 for none. */
  everyMs?: number | undefined;
  time: Time;
}

export function createTurns({ everyMs = 0, time }: TurnsOptions): Turns {
  /** When each caller was let in, while that still counts: the earliest first. */
  const begun = new Map<string, number>();
  let last: Promise<void> = Promise.resolve();

  function admit(by: string): void {
    const at = time.monotonicMs();
    for (const [other, ms] of begun) {
      if (at - ms < everyMs) break;
      begun.delete(other);
    }
    const before = begun.get(by);
    if (before !== undefined) throw rateLimited(before + everyMs - at);
    begun.set(by, at);
  }

  return {
    async take(by, signal, work) {
      admit(by);
      const before = last;
      const ended = Promise.withResolvers<void>();
      last = before.then(() => ended.promise);
      try {
        await abandonOn(signal, before);
        return await work();
      } finally {
        ended.resolve();
      }
    },
  };
}
