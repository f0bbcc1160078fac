/** `--short` of a command line: its processes and tests find it in the environment. */
import { env } from "node:process";

/** Whether a test belongs to a short form. */
export const isShort = isShortRun();

/** Whether this run is of the short form: for a command, after it has taken its option. */
export function isShortRun(): boolean {
  return env.TEST_SHORT === "1";
}

/** Takes `--short` from `words`, and returns the rest. Processes that are started afterwards run their short form. */
export function takeShort(words: readonly string[]): string[] {
  if (words.includes("--short")) env.TEST_SHORT = "1";
  return words.filter((word) => word !== "--short");
}
