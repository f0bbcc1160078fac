import { expect, it } from "vitest";
import { createObserver } from "../../src/metrics/read-metrics.ts";
import { exportedBy, linesOf } from "../support/exported-metrics.ts";

it("leaves out a metric that cannot be read, tells of it once, and shows all others", async () => {
  const failed: [unknown, string][] = [];
  const lines = await exportedBy(({ meter }) => {
    const { gauge, seconds, counter } = createObserver(meter, (...told) => failed.push(told));
    gauge("broken", "", () => {
      throw new Error("a bug");
    });
    gauge("broken_too", "", () => {
      throw new Error("another");
    });
    gauge("absent", "", () => undefined);
    seconds("age_seconds", "", () => 1.5);
    counter("things_total", "", () => [
      [1, { of: "wood" }],
      [2, { of: "stone" }],
    ]);
  });
  expect(lines.filter((line) => /broken|absent/.test(line))).toEqual([]);
  expect(linesOf(lines, "age_seconds")).toEqual(["age_seconds 1.5"]);
  expect(linesOf(lines, "things_total")).toEqual(['things_total{of="wood"} 1', 'things_total{of="stone"} 2']);
  expect(failed).toEqual([
    [new Error("a bug"), "broken"],
    [new Error("another"), "broken_too"],
  ]);
});
