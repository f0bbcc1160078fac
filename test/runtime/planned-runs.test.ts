/** Runs that a Quartz expression plans, by a wall clock that goes on, jumps, and is set back. */
import { expect, it } from "vitest";
import { manualTime } from "../../src/runtime/manual-time.ts";
import { planRuns } from "../../src/runtime/planned-runs.ts";

const [hourMs, dayMs] = [3_600_000, 86_400_000];

function planned(expression = "0 0 2 * * ?", start = "2026-01-01T00:00:00.000Z") {
  const time = manualTime({ start: new Date(start) });
  const ran: string[] = [];
  const plan = planRuns(expression, time, () => ran.push(time.now().toISOString()));
  return { time, ran, plan };
}

it("begin at their times, each once", async () => {
  const { time, ran } = planned();
  await time.advance(2 * hourMs - 1);
  expect(ran).toEqual([]);
  await time.advance(1);
  expect(ran).toEqual(["2026-01-01T02:00:00.000Z"]);
  await time.advance(2 * dayMs);
  expect(ran.slice(1)).toEqual(["2026-01-02T02:00:00.000Z", "2026-01-03T02:00:00.000Z"]);
});

it("are in UTC, and are told for any date", () => {
  const { plan } = planned("0 30 13 ? * 2");
  expect(plan.next()).toEqual(new Date("2026-01-05T13:30:00.000Z")); // a Monday, as Quartz counts from Sunday
  expect(plan.next(new Date("2026-01-05T13:30:00.000Z"))).toEqual(new Date("2026-01-12T13:30:00.000Z"));
});

it("that the clock jumps over are made up for within half a minute, once for all of them", async () => {
  const { time, ran } = planned();
  await time.setWallClock(5 * dayMs);
  await time.advance(30_000);
  expect(ran).toEqual(["2026-01-06T00:00:30.000Z"]);
  await time.advance(2 * hourMs);
  expect(ran).toHaveLength(2);
});

it("that a suspension of the machine jumps over, too", async () => {
  const { time, ran } = planned();
  await time.suspend(3 * hourMs);
  await time.advance(30_000);
  expect(ran).toEqual(["2026-01-01T03:00:30.000Z"]);
});

it("come at their times by a clock that was set back, and not only where that was before", async () => {
  const { time, ran } = planned();
  await time.advance(hourMs);
  await time.setWallClock(-365 * dayMs);
  await time.advance(hourMs);
  expect(ran).toEqual(["2025-01-01T02:00:00.000Z"]);
});

it("are no more once they are stopped, or where the expression has no time to come", async () => {
  const { time, ran, plan } = planned();
  plan.stop();
  await time.advance(dayMs);
  const over = planned("0 0 2 1 1 ? 2026", "2026-01-01T01:59:00.000Z");
  await over.time.advance(dayMs);
  expect([ran, over.ran, over.plan.next()]).toEqual([[], ["2026-01-01T02:00:00.000Z"], undefined]);
  expect([time.timers(), over.time.timers()]).toEqual([0, 0]);
});
