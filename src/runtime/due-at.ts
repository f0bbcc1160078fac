/** When an operator should look after what others renew: a certificate, a revocation list. */

/**
 * Returns the time that is so long before the end; of what lives for a short time, the beginning of its last quarter, as
 * a certificate of an hour is not late from its first minute on.
 */
export function dueAt({ fromMs, untilMs }: { fromMs: number; untilMs: number }, beforeMs: number): number {
  return untilMs - Math.min(beforeMs, (untilMs - fromMs) / 4);
}
