/** How long a test waits for what the service promises to do within a time. */

/**
 * What takes that many times as long as was promised is a hang; what takes less may be a machine that is slow or does other work. On an
 * idle one `TEST_SLOWNESS=1` holds every promise as it is made.
 */
const slowness = Number(process.env.TEST_SLOWNESS ?? 10);

/** In milliseconds, as `promisedMs` is. */
export function patience(promisedMs: number): number {
  return promisedMs * slowness;
}
