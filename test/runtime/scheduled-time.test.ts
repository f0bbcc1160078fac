/** A process that is not scheduled waits for nothing. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { afterScheduled } from "../../src/runtime/scheduled-time.ts";
import { jumpingClock } from "../support/jumping-clock.ts";
import { realTime } from "../../src/runtime/time.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

it("is over at its time where the process is scheduled, once, and leaves no timer", () => {
  const late = vi.fn();
  afterScheduled(realTime, 2_520, late);
  vi.advanceTimersByTime(2_519);
  expect(late).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(late).toHaveBeenCalledOnce();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(10_000);
  expect(late).toHaveBeenCalledOnce();
});

it("counts a tenth of a second for a loop that was blocked for three", () => {
  const clock = jumpingClock();
  const late = vi.fn();
  afterScheduled(realTime, 1_000, late);
  vi.advanceTimersByTime(100);
  clock.aheadMs = 3_000; // and the next tick comes so much later
  vi.advanceTimersByTime(50 + 799);
  expect(late).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(late).toHaveBeenCalledOnce();
  clock.restore();
});

it("is called off", () => {
  const late = vi.fn();
  const callOff = afterScheduled(realTime, 100, late);
  vi.advanceTimersByTime(60);
  callOff();
  vi.advanceTimersByTime(10_000);
  expect(late).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});
