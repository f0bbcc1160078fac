/** Lengths of time in words. */

const units: readonly [ms: number, name: string][] = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1_000, "second"],
];

/** The largest whole unit, as in `3 hours`. */
export function lengthText(ms: number): string {
  const [unitMs, name] = units.find(([unit]) => ms >= unit) ?? units.at(-1)!;
  const count = Math.floor(ms / unitMs);
  return `${count} ${name}${count === 1 ? "" : "s"}`;
}

export function agoText(now: Date, at: Date): string {
  return `${lengthText(Math.max(0, now.getTime() - at.getTime()))} ago`;
}
