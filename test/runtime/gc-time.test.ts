import { expect, it, onTestFinished } from "vitest";
import { startGcTime } from "../../src/runtime/gc-time.ts";
import { eventually } from "../support/eventually.ts";

it("adds up what collections take, of each kind from 0 on", async () => {
  const gc = startGcTime();
  onTestFinished(() => gc.close());
  expect(gc.seconds()).toEqual({ minor: 0, major: 0, incremental: 0, weakcb: 0 });
  // More than a young generation.
  const kept: number[][] = [];
  await eventually(() => {
    for (let i = 0; i < 1_000; i += 1) kept.push(new Array(1_000).fill(i));
    expect(gc.seconds().minor).toBeGreaterThan(0);
  });
});
