/**
 * Work that this thread waits for and another does: the store, a thread of the pool, a provider, an issuer of tokens. It is announced on a
 * diagnostics channel, so that a test moves time only while none is under way. It costs nothing unless somebody listens.
 */
import { tracingChannel } from "node:diagnostics_channel";

export type WorkerName = "store" | "pool" | "provider" | "issuer";

/** Publishes `{ by: WorkerName }` at the start and at the end of each piece of work, however it ends. */
export const inFlightChannel = tracingChannel("fluo-kms.in-flight");

/** Runs `work`, which `by` does. */
export function inFlight<T>(by: WorkerName, work: () => Promise<T>): Promise<T> {
  return inFlightChannel.hasSubscribers ? inFlightChannel.tracePromise(work, { by }) : work();
}
