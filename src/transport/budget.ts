/**
 * Bytes of requests that were accepted and not answered yet, of both transports together. Past the limit a request is
 * refused before it is decoded, so that a flood costs memory up to a bound and no work.
 */
import { KmsError } from "../errors.ts";
import type { Answer } from "../service/answer.ts";

export interface Budget {
  /** Counts `bytes` while `call` runs. Throws OVERLOADED, without calling, when they do not fit. */
  hold<T>(bytes: number, call: () => Answer<T>): Answer<T>;
  /** Calls that are running now. */
  calls(): number;
}

export const maxHeldBytes = 64 * 1024 * 1024;

export function createBudget(limit = maxHeldBytes): Budget {
  let held = 0;
  let calls = 0;
  return {
    hold(bytes, call) {
      if (held + bytes > limit) throw new KmsError("OVERLOADED", "too many requests at once: try again later");
      held += bytes;
      calls += 1;
      const release = () => {
        held -= bytes;
        calls -= 1;
      };
      let answer: ReturnType<typeof call>;
      try {
        answer = call();
      } catch (error) {
        release();
        throw error;
      }
      if (answer instanceof Promise) return answer.finally(release);
      release();
      return answer;
    },
    calls: () => calls,
  };
}
