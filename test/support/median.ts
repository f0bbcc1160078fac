/**
 * Returns the figure in the middle of several samples, or the mean of the two there. Suites judge by it, as a busy moment of the machine
 * spoils one sample alone.
 */
export function medianOf(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
}
