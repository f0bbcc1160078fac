import { expect, it } from "vitest";
import { dueAt } from "../../src/runtime/due-at.ts";

const hour = 3_600_000;

it.each([
  ["so long before its end, of what lives for long", 90 * 24 * hour, 7 * 24 * hour, 83 * 24 * hour],
  ["at the last quarter, of what lives for a short time", 4 * hour, 7 * 24 * hour, 3 * hour],
  ["at its end, of what never lived", 0, hour, 0],
])("is %s", (_, untilMs, beforeMs, dueMs) => {
  expect(dueAt({ fromMs: 0, untilMs }, beforeMs)).toBe(dueMs);
});
