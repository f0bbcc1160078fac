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

export const burstSeconds = 2;
/** Longest wait for one unit: what is owed beyond it is forgiven, or a caller with a bug would lock itself out for days. */
export const maxDebtMs = 300_000;

/** Gives so many units a second, with a burst of 2 s of them. */
export function rateOf(perSecond: number, burst = burstSeconds * perSecond): Rate {
  return { perSecond, burst: Math.max(1, burst) };
}

/** A `rate` that is given replaces the bucket's own: one that shares the bucket may have another limit. */
export interface TokenBucket {
  /** Milliseconds until one unit is there; 0 if it is. */
  waitMs(rate?: Rate): number;
  /** Takes units, whether they are there or not. */
  take(units?: number, rate?: Rate): void;
  /** Takes one unit if it is there. Returns the milliseconds until it is, and 0 if it was taken. */
  admit(rate?: Rate): number;
}

/** Monotonic clock, in milliseconds. */
export type Monotonic = () => number;

export interface BucketOptions {
  now: Monotonic;
  /** Longest wait for one unit that debt may come to; the default is {@link maxDebtMs}. */
  debtMs?: number;
}

/** Error of sums of fractions. */
const roundingMs = 0.001;

export function tokenBucket(own: Rate, { now, debtMs = maxDebtMs }: BucketOptions): TokenBucket {
  let fullMs = Number.NEGATIVE_INFINITY;
  const waitAt = (at: number, { perSecond, burst }: Rate) => {
    const waitMs = fullMs - at - ((burst - 1) * 1_000) / perSecond;
    return waitMs > roundingMs ? waitMs : 0;
  };
  const takeAt = (at: number, units: number, { perSecond, burst }: Rate) => {
    const eachMs = 1_000 / perSecond;
    fullMs = Math.min(Math.max(fullMs, at) + units * eachMs, at + Math.max(debtMs, eachMs) + (burst - 1) * eachMs);
  };
  return {
    waitMs: (rate = own) => waitAt(now(), rate),
    take: (units = 1, rate = own) => takeAt(now(), units, rate),
    admit(rate = own) {
      const at = now();
      const waitMs = waitAt(at, rate);
      if (waitMs === 0) takeAt(at, 1, rate);
      return waitMs;
    },
  };
}

/** Takes a unit; throws RATE_LIMITED, with the time until one is there. */
export function admit(bucket: TokenBucket, rate?: Rate): void {
  const waitMs = bucket.admit(rate);
  if (waitMs > 0) throw rateLimited(waitMs);
}
