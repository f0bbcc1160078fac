/** The time of this machine, as Node has it. */
import { afterEach, expect, it, vi } from "vitest";
import { realTime } from "../../src/runtime/time.ts";

afterEach(() => void vi.useRealTimers());

it("is that of this process's clocks", () => {
  vi.useFakeTimers({ toFake: ["Date", "performance"], now: 5_000 });
  expect(realTime.now()).toEqual(new Date(5_000));
  const before = realTime.monotonicMs();
  vi.advanceTimersByTime(250);
  expect(realTime.monotonicMs() - before).toBe(250);
  expect(realTime.now()).toEqual(new Date(5_250));
});

it("runs a timer once and a ticker until it is cleared, and keeps no process alive by them", () => {
  const handles = [realTime.after(60_000, () => {}), realTime.every(60_000, () => {})] as NodeJS.Timeout[];
  expect(handles.map((each) => each.hasRef())).toEqual([false, false]);
  for (const each of handles) realTime.clear(each);
  vi.useFakeTimers();
  const [once, tick] = [vi.fn(), vi.fn()];
  realTime.after(10, once);
  const ticker = realTime.every(10, tick);
  vi.advanceTimersByTime(30);
  realTime.clear(ticker);
  vi.advanceTimersByTime(30);
  expect([once, tick].map(({ mock }) => mock.calls.length)).toEqual([1, 3]);
});

it("ends a sleep as soon as its signal aborts", async () => {
  const leaving = new AbortController();
  const sleeping = realTime.sleep(3_600_000, { signal: leaving.signal, ref: false });
  leaving.abort(new Error("why"));
  await expect(sleeping).rejects.toMatchObject({ name: "AbortError", cause: new Error("why") });
});
