/** What Validate recommends of the times that it measured. */
import { expect, it } from "vitest";
import { recommendationsOn } from "../../src/service/recommendations.ts";

const parts = { recommendations: [], breakers: () => [], maxStaleMs: 1 };

it.each([
  [9.99, 99.9, []],
  [10, 0, [expect.stringContaining("A cached key took 10 ms")]],
  [0, 100, [expect.stringContaining("A key that is not cached took 100 ms")]],
])("of a hit in %d ms and a miss in %d ms", (cacheHitMs, cacheMissMs, expected) => {
  expect(recommendationsOn(parts, { advice: [], key: undefined, cacheHitMs, cacheMissMs })).toEqual(expected);
});
