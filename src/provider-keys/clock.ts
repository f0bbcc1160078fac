/** The clock of a provider, as its answers to looks at the key tell it: a second clock beside this machine's. */
import type { ProviderCondition, ProviderWatch } from "./watch.ts";
import type { Time } from "../runtime/time.ts";

export interface ProviderClock {
  readonly name: string;
  /** The provider's time now, to a second or so; undefined if its answers tell none, or it gives none now. */
  read(): Promise<Date | undefined>;
}

/** A reading is carried on by the monotonic clock for that long; then the provider is looked at again. */
const carriedMs = 2 * 60_000;
/** Difference from the wall clock past which the clock is read again: a reading of before a suspension of the machine lags behind. */
const mayDifferMs = 60_000;

export function providerClock(
  watch: Pick<ProviderWatch, "provider" | "current" | "look">,
  { time }: { time: Time },
): ProviderClock {
  const now = ({ providerTime }: ProviderCondition) => {
    if (providerTime === undefined) return undefined;
    const sinceMs = time.monotonicMs() - providerTime.monotonicMs;
    return { at: new Date(providerTime.at.getTime() + sinceMs), isFresh: sinceMs <= carriedMs };
  };
  return {
    name: `the provider ${watch.provider.name}`,
    async read() {
      const known = now(watch.current());
      if (known === undefined) return undefined;
      const apartMs = Math.abs(known.at.getTime() - time.now().getTime());
      if (known.isFresh && apartMs <= mayDifferMs) return known.at;
      const seen = now(await watch.look());
      return seen?.isFresh ? seen.at : undefined;
    },
  };
}
