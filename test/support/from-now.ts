/** Dates of test data: validity, deadlines, ages. A test that needs to know how time passes gives the code a clock of its own. */

/** Returns a date that lies this far ahead, or behind if negative. */
export function fromNow(ms: number): Date {
  return new Date(msFromNow(ms));
}

/** Returns it in milliseconds since 1970. */
export function msFromNow(ms: number): number {
  return Date.now() + ms;
}

/** Returns it in whole seconds since 1970, as tokens have it. */
export function secondsFromNow(seconds: number): number {
  return Math.floor(msFromNow(seconds * 1_000) / 1_000);
}
