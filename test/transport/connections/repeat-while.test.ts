import { expect, it } from "vitest";
import { repeatWhile } from "../../../src/transport/connections/repeat-while.ts";
import { manualTime } from "../../../src/runtime/manual-time.ts";

/** Work that is there as long as the test says, and how often it was done. */
function working() {
  const time = manualTime();
  const state = { isThere: true, times: 0 };
  const repeated = repeatWhile(time, 10, () => {
    state.times += 1;
    return state.isThere;
  });
  return { time, state, ...repeated };
}

it("work is done again and again while there is some, and not before the start", async () => {
  const { time, state, start } = working();
  await time.advance(100);
  expect(state.times).toBe(0);
  start();
  await time.advance(30);
  expect(state.times).toBe(3);
});

it("a second start has it done no more often", async () => {
  const { time, state, start } = working();
  start();
  start();
  await time.advance(10);
  start();
  await time.advance(20);
  expect(state.times).toBe(3);
});

it("nothing is left of it once there is no work, and a start begins it again", async () => {
  const { time, state, start } = working();
  state.isThere = false;
  start();
  await time.advance(100);
  expect([state.times, time.timers()]).toEqual([1, 0]);
  start();
  await time.advance(100);
  expect([state.times, time.timers()]).toEqual([2, 0]);
});

it("it ends when it is stopped", async () => {
  const { time, state, start, stop } = working();
  start();
  await time.advance(20);
  stop();
  await time.advance(100);
  expect([state.times, time.timers()]).toEqual([2, 0]);
});
