/** Time limit and retries of a provider call, by `Time`: cockatiel's own have timers that no test can move. */
import { type IBackoffFactory, TaskCancelledError } from "cockatiel";
import { abandonOn } from "../runtime/deadline.ts";
import type { Time } from "../runtime/time.ts";

/**
 * Throws TaskCancelledError once `ms` are over or `outer` aborts, whether or not the work looks at its signal, which then aborts. That signal
 * is not aborted when the work returns. Keeps the process alive.
 */
export async function timeLimited<T>(
  time: Time,
  ms: number,
  work: (signal: AbortSignal) => Promise<T>,
  outer: AbortSignal | undefined,
): Promise<T> {
  const controller = new AbortController();
  const over = Promise.withResolvers<never>();
  const end = () => {
    over.reject(new TaskCancelledError(`Operation timed out after ${ms}ms`)); // before the work can say it in its own words
    controller.abort(outer?.reason);
  };
  const timer = time.after(ms, end).ref();
  if (outer?.aborted) end();
  else outer?.addEventListener("abort", end);
  try {
    return await Promise.race([over.promise, work(controller.signal)]);
  } finally {
    outer?.removeEventListener("abort", end);
    time.clear(timer);
  }
}

export interface RetryOptions {
  time: Time;
  /** Tries after the first. */
  maxRetries: number;
  backoff: IBackoffFactory<unknown>;
  /** True if a retry follows a failure. Called only while retries are left. */
  takeRetry(error: unknown): boolean;
}

/** Runs `work` until it succeeds or no retry is left. Makes none once the signal aborts. A pause keeps the process alive. */
export async function retried<T>(
  { time, maxRetries, backoff, takeRetry }: RetryOptions,
  work: () => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  let pauses = backoff;
  for (let retries = 0; ; retries += 1) {
    try {
      return await work();
    } catch (error) {
      if (signal?.aborted || retries >= maxRetries || !takeRetry(error)) throw error;
    }
    const next = pauses.next(undefined);
    await pause(time, next.duration, signal);
    pauses = next;
  }
}

async function pause(time: Time, ms: number, signal: AbortSignal | undefined): Promise<void> {
  const over = Promise.withResolvers<void>();
  const timer = time.after(ms, over.resolve).ref();
  try {
    await abandonOn(signal, over.promise);
  } finally {
    time.clear(timer);
  }
}
