/** Waiting with an end: after some time, or when a caller goes away. Work that others share goes on. */
import { KmsError } from "../errors.ts";
import { afterScheduled } from "./scheduled-time.ts";
import type { Time } from "./time.ts";

/**
 * Rejects with `error()` unless `work` ends within `ms`. Its signal then aborts with the same error, so that work which
 * looks at it stops; work which does not look at it goes on, and nobody hears how it ended. The timer keeps no process
 * alive.
 */
export async function withDeadline<T>(
  time: Time,
  ms: number,
  error: () => Error,
  work: (signal: AbortSignal) => T | Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const late = Promise.withResolvers<never>();
  const expire = () => {
    const reason = error();
    late.reject(reason); // before the work can say it in its own words
    controller.abort(reason);
  };
  const timer = time.after(ms, expire);
  try {
    return await Promise.race([late.promise, work(controller.signal)]);
  } finally {
    time.clear(timer);
  }
}

/**
 * `work`, or `cancelled(signal)` as soon as the signal aborts. The work goes on, for others who wait for it or for
 * nobody.
 */
export function abandonOn<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return work;
  const left = Promise.withResolvers<never>();
  const leave = () => left.reject(cancelled(signal));
  if (signal.aborted) leave();
  else signal.addEventListener("abort", leave, { once: true });
  return Promise.race([left.promise, work]).finally(() => signal.removeEventListener("abort", leave));
}

/** Throws `cancelled(signal)` if the signal is aborted. */
export function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled(signal);
}

/** What an abandoned call throws: the reason of the abort if that is a KmsError (a deadline), else CANCELLED. */
export function cancelled(signal: AbortSignal): KmsError {
  return signal.reason instanceof KmsError ? signal.reason : new KmsError("CANCELLED", "the call was cancelled");
}

const queryMs = 3_000;

/** Time limit for a store query of health and status, so that a hung store cannot hang them: STORE_UNAVAILABLE. A late loop is no hung store. */
export async function inTime<T>(time: Time, query: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const callOff = afterScheduled(time, queryMs, () =>
    late.reject(new KmsError("STORE_UNAVAILABLE", `no answer within ${queryMs / 1_000} s`)),
  );
  try {
    return await Promise.race([late.promise, query]);
  } finally {
    callOff();
  }
}
