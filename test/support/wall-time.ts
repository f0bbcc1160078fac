/** The time of this machine, but for its wall clock, which the test sets. */
import { realTime, type Time } from "../../src/runtime/time.ts";

export function wallTime(now: () => Date): Time {
  return { ...realTime, now };
}
