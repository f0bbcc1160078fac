/** Times within which suites that measure expect what the service promises. */

/** A slow or busy machine takes longer than the service promises. `TEST_SLOWNESS=1` holds the promises as they are, on an idle machine. */
const slowness = Number(process.env.TEST_SLOWNESS ?? 10);

/** In milliseconds, as `promisedMs` is. */
export function patience(promisedMs: number): number {
  return promisedMs * slowness;
}
