import type { Period } from "./facts.ts";

/** The earliest and the latest of some times; undefined without any. Times of one form and length sort as text. */
export function periodOf(times: Iterable<string>): Period | undefined {
  let period: Period | undefined;
  for (const time of times) {
    period ??= { first: time, last: time };
    if (time < period.first) period.first = time;
    if (time > period.last) period.last = time;
  }
  return period;
}
