/** Delays of the loop are only ever bounded from below: a busy machine makes them longer. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { startLoopLag } from "../../src/runtime/loop-lag.ts";
import { eventually } from "../support/eventually.ts";
import { stall } from "../support/stall.ts";
import { realTime } from "../../src/runtime/time.ts";

const stallMs = 200;

it("a stall of the loop is the longest delay, and the percentiles are in order", async () => {
  const lag = startLoopLag(realTime);
  onTestFinished(() => lag.close());
  expect(lag.percentiles().map(({ percentile }) => percentile)).toEqual([50, 99, 100]);
  for (const { seconds } of lag.percentiles()) expect(seconds).toBeGreaterThanOrEqual(0);
  await delay(60); // it measures between two looks
  stall(stallMs);
  await eventually(() => {
    const [median, most, longest] = lag.percentiles().map(({ seconds }) => seconds);
    // It was in the midst of one of its waits.
    expect(longest).toBeGreaterThanOrEqual((stallMs - 25) / 1_000);
    expect(most).toBeLessThanOrEqual(longest!);
    expect(median).toBeLessThanOrEqual(most!);
  });
});

it("the loop worked for a part of the time, more of it in a stall", async () => {
  const lag = startLoopLag(realTime);
  onTestFinished(() => lag.close());
  await delay(stallMs);
  const before = lag.utilization();
  expect(before).toBeGreaterThanOrEqual(0);
  expect(before).toBeLessThanOrEqual(1);
  for (let i = 0; i < 5; i += 1) {
    stall(stallMs);
    await delay(0);
  }
  expect(lag.utilization()).toBeGreaterThan(0);
});
