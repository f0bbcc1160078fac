/** Work that does not look at a signal, ended by one. */
import { KmsError } from "../errors.ts";
import { cancelled } from "./provider.ts";

/** Rejects as soon as the signal aborts; `work` goes on for others, or for nobody. */
export async function abandonable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const left = Promise.withResolvers<never>();
  const leave = () => left.reject(cancelled(signal));
  if (signal.aborted) leave();
  signal.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([work, left.promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

/** Runs `call` with a signal that aborts after `ms`: PROVIDER_UNAVAILABLE, as no caller's time was up. */
export async function withinMs<T>(ms: number, message: string, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new KmsError("PROVIDER_UNAVAILABLE", message)), ms).unref();
  try {
    return await call(controller.signal);
  } finally {
    clearTimeout(timer);
  }
}
