/** A CPU profile of the main thread, as V8 takes it: names and places of functions and when they ran, and no values. */
import type { Session } from "node:inspector/promises";
import { KmsError } from "../../errors.ts";
import type { Time } from "../../runtime/time.ts";

export interface CpuProfiler {
  /**
   * Resolves with the content of a `.cpuprofile` file. Throws CONFLICT if another profile is being taken. An abort ends it early. `begun` notes
   * that it is taken.
   */
  take(seconds: number, signal: AbortSignal, begun: () => Promise<void>): Promise<object>;
  /** Ends the profile that is being taken, which is answered as far as it went. */
  stop(): void;
}

export function cpuProfiler(time: Time): CpuProfiler {
  let end: (() => void) | undefined;

  async function taken(seconds: number, signal: AbortSignal): Promise<object> {
    const over = Promise.withResolvers<void>();
    end = over.resolve;
    const { Session } = await import("node:inspector/promises");
    const session: Session = new Session();
    session.connect();
    const timer = time.after(seconds * 1_000, over.resolve);
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) over.resolve();
    try {
      await session.post("Profiler.enable");
      await session.post("Profiler.start");
      await over.promise;
      return (await session.post("Profiler.stop")).profile;
    } finally {
      time.clear(timer);
      session.disconnect();
    }
  }

  return {
    async take(seconds, signal, begun) {
      if (end !== undefined) throw new KmsError("CONFLICT", "a profile is being taken: wait until it has ended");
      try {
        end = () => {};
        const [profile] = await Promise.all([taken(seconds, signal), begun()]);
        return profile;
      } finally {
        end = undefined;
      }
    },
    stop: () => end?.(),
  };
}
