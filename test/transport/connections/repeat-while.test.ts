import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { repeatWhile } from "../../../src/transport/connections/repeat-while.ts";
import { realTime } from "../../../src/runtime/time.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Work that is there as long as the test says, and how often it was done. */
function working() {
  const state = { isThere: true, times: 0 };
  const repeated = repeatWhile(realTime, 10, () => {
    state.times += 1;
    return state.isThere;
  });
  return { state, ...repeated };
}

it("work is done again and again while there is some, and not before the start", () => {
  const { state, start } = working();
  vi.advanceTimersByTime(100);
  expect(state.times).toBe(0);
  start();
  vi.advanceTimersByTime(30);
  expect(state.times).toBe(3);
});

it("a second start has it done no more often", () => {
  const { state, start } = working();
  start();
  start();
  vi.advanceTimersByTime(10);
  start();
  vi.advanceTimersByTime(20);
  expect(state.times).toBe(3);
});

it("nothing is left of it once there is no work, and a start begins it again", () => {
  const { state, start } = working();
  state.isThere = false;
  start();
  vi.advanceTimersByTime(100);
  expect([state.times, vi.getTimerCount()]).toEqual([1, 0]);
  start();
  vi.advanceTimersByTime(100);
  expect([state.times, vi.getTimerCount()]).toEqual([2, 0]);
});

it("it ends when it is stopped", () => {
  const { state, start, stop } = working();
  start();
  vi.advanceTimersByTime(20);
  stop();
  vi.advanceTimersByTime(100);
  expect([state.times, vi.getTimerCount()]).toEqual([2, 0]);
});
