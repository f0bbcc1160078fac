/** Waiting for work that others wait for too: who goes away stops waiting, the work goes on. */
import { cancelled } from "../provider/provider.ts";

/** `promise`, or `cancelled(signal)` as soon as the signal aborts. */
export function unlessCancelled<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abandon = () => reject(cancelled(signal));
    if (signal.aborted) abandon();
    else signal.addEventListener("abort", abandon, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abandon));
  });
}
