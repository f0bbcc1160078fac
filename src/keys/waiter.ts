/** Waiting for work that others wait for too: who goes away stops waiting, the work goes on. */
import { cancelled } from "../provider/provider.ts";

/** Who waits. Its signal is asked for only once there is something to wait for: making one costs as much as a cached key. */
export interface Waiter {
  readonly signal: AbortSignal;
  readonly caller?: KeyUser;
}

export interface KeyUser {
  /** Whom the audit trail names, should the first call make a key. */
  readonly name: string;
  /** Asked only for a COMPROMISED key. */
  has(role: "break-glass"): boolean;
}

/** `promise`, or `cancelled(signal)` as soon as the waiter's signal aborts. */
export function unlessCancelled<T>(promise: Promise<T>, waiter: Waiter | undefined): Promise<T> {
  if (waiter === undefined) return promise;
  const { signal } = waiter;
  return new Promise((resolve, reject) => {
    const abandon = () => reject(cancelled(signal));
    if (signal.aborted) abandon();
    else signal.addEventListener("abort", abandon, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abandon));
  });
}
