/**
 * Token buckets with debt. A bucket admits while one unit is there, and what is taken beyond is owed: a call that costs more than the bucket
 * holds is served, and the next one waits. The state is one number, the time at which the bucket is full again.
 */
import { rateLimited } from "../errors.ts";

/** Units a second, and the units that may come at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

const burstSeconds = 2;

/** Gives so many units a second, with a burst of 2 s of them. */
export function rateOf(perSecond: number, burst = burstSeconds * perSecond): Rate {
  return { perSecond, burst: Math.max(1, burst) };
}

export interface TokenBucket {
  /** Milliseconds until one unit is there; 0 if it is. `rate` replaces the bucket's own: one that shares it may have another limit. */
  waitMs(rate?: Rate): number;
  /** Takes units, whether they are there or not. */
  take(units?: number, rate?: Rate): void;
}

/** Monotonic clock, in milliseconds. */
export type Monotonic = () => number;

/** Error of sums of fractions. */
const roundingMs = 0.001;

export function tokenBucket(own: Rate, now: Monotonic = () => performance.now()): TokenBucket {
  let fullMs = Number.NEGATIVE_INFINITY;
  return {
    waitMs({ perSecond, burst } = own) {
      const waitMs = fullMs - now() - ((burst - 1) * 1_000) / perSecond;
      return waitMs > roundingMs ? waitMs : 0;
    },
    take(units = 1, { perSecond } = own) {
      fullMs = Math.max(fullMs, now()) + (units * 1_000) / perSecond;
    },
  };
}

/** Takes a unit; throws RATE_LIMITED, with the time until one is there. */
export function admit(bucket: TokenBucket, rate?: Rate): void {
  const waitMs = bucket.waitMs(rate);
  if (waitMs > 0) throw rateLimited(waitMs);
  bucket.take(1, rate);
}
