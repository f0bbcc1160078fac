/** What a suite says of a part that it cannot run on this machine. */

/** Whether a part that is not run is a failure: with `CI=true`, and with `TEST_ALL=1`, as `npm run test:all` sets it. */
export function isRequired({ CI, TEST_ALL }: NodeJS.ProcessEnv = process.env): boolean {
  return CI === "true" || TEST_ALL === "1";
}

/** Prints the line, in one piece, and returns the number of failures that the part counts for. `part` is `SUITE` or `SUITE/SPEC`. */
export function notRun(part: string, why: string, isFailure = isRequired()): number {
  process.stderr.write(`${isFailure ? "FAILED: " : ""}NOT RUN ${part}: ${why.trim().replaceAll(/\s*\n\s*/g, " ")}\n`);
  return isFailure ? 1 : 0;
}
