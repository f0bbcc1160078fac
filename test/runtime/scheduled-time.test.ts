/** A process that is not scheduled waits for nothing. */
import { expect, it, vi } from "vitest";
import { manualTime } from "../../src/runtime/manual-time.ts";
import { afterScheduled } from "../../src/runtime/scheduled-time.ts";

it("is over at its time where the process is scheduled, once, and leaves no timer", async () => {
  const time = manualTime();
  const late = vi.fn();
  afterScheduled(time, 2_520, late);
  await time.advance(2_519);
  expect(late).not.toHaveBeenCalled();
  await time.advance(1);
  expect(late).toHaveBeenCalledOnce();
  expect(time.nextDueMs()).toBeUndefined();
  await time.advance(10_000);
  expect(late).toHaveBeenCalledOnce();
});

it("counts a tenth of a second for a loop that was blocked for three", async () => {
  const time = manualTime();
  const late = vi.fn();
  afterScheduled(time, 1_000, late);
  await time.advance(100);
  await time.skip(3_000); // and the next tick comes so much later
  await time.advance(799);
  expect(late).not.toHaveBeenCalled();
  await time.advance(1);
  expect(late).toHaveBeenCalledOnce();
});

it("is called off", async () => {
  const time = manualTime();
  const late = vi.fn();
  const callOff = afterScheduled(time, 100, late);
  await time.advance(60);
  callOff();
  await time.advance(10_000);
  expect(late).not.toHaveBeenCalled();
  expect(time.nextDueMs()).toBeUndefined();
});
