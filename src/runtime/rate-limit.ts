/** A bound on how often each of many may do something in a second. */
import { rateLimited } from "../errors.ts";

/** RATE_LIMITED, with the time until it fits, for whoever did it too often. */
export type RateLimit = (by: string) => void;

/** The one that did it longest ago is forgotten, and begins anew. */
const most = 10_000;
const windowMs = 1_000;
/** What sums of fractions are wrong by. */
const roundingMs = 0.001;

/** `now` is monotonic, in milliseconds. */
export function rateLimit(perSecond: number, now = () => performance.now()): RateLimit {
  const eachMs = windowMs / perSecond;
  /** Each time counts for its part of a second, one after the other: when the last of them will count no more. */
  const countsUntil = new Map<string, number>();
  return (by) => {
    const at = now();
    const until = Math.max(countsUntil.get(by) ?? at, at) + eachMs;
    const waitMs = until - windowMs - at;
    if (waitMs > roundingMs) throw rateLimited(waitMs);
    countsUntil.delete(by);
    countsUntil.set(by, until);
    if (countsUntil.size > most) countsUntil.delete(countsUntil.keys().next().value!);
  };
}
