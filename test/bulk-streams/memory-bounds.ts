/** Bounds of the process's memory under streams, which memory.spec.ts holds and docs/LIMITS.md states. */

/** As many spans as a batch of 4 MiB holds; one more would not fit. */
export const mostSpans = 9_700;

export const memoryBounds = [
  { mode: "INDIVIDUAL", count: 100, atMostMb: 300 },
  { mode: "LOG", count: 100, atMostMb: 330 },
  { mode: "INDIVIDUAL", count: mostSpans, atMostMb: 350 },
  { mode: "LOG", count: mostSpans, atMostMb: 500 },
] as const;
