/**
 * The short form of a suite: the first case of each kind, without repetition, for a run with `--short`. A case that is left out is
 * registered as skipped, so that its suite counts it.
 */
import { describe, it } from "vitest";
import { isShort } from "./short-option.ts";

export { isShort };

/** Tests that the short form leaves out: `it`, or a test that is skipped. */
export const whole = it.skipIf(isShort);

/** Groups of tests that the short form leaves out. */
export const describeWhole = describe.skipIf(isShort);

/** Returns all cases, or in the short form the first of each kind; without `kindOf` they are of one kind. */
export function firstOfEach<T>(cases: readonly T[], kindOf: (each: T) => unknown = () => undefined): readonly T[] {
  if (!isShort) return cases;
  const kinds = new Set<unknown>();
  return cases.filter((each, index) => {
    const isFirst = kinds.size < kinds.add(kindOf(each)).size;
    if (!isFirst) it.skip(`case ${index + 1} of ${cases.length}, which the short form leaves out`, () => {});
    return isFirst;
  });
}
