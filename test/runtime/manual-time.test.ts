/** Time that a test moves. */
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { manualTime, type ManualTime, timeOfThread } from "../../src/runtime/manual-time.ts";
import { realTime, type Time } from "../../src/runtime/time.ts";

const start = new Date("2026-01-01T00:00:00.000Z");

describe("time that is moved by hand", () => {
  it("stands still until then, and goes on by all three clocks", async () => {
    const time = manualTime({ start });
    const clocks = () => [time.now().getTime() - start.getTime(), time.monotonicMs(), time.sinceBootMs()];
    expect(clocks()).toEqual([0, 0, 0]);
    await time.advance(1_500);
    expect(clocks()).toEqual([1_500, 1_500, 1_500]);
  });

  it("runs what is due in the order of its times, each at its own, and what is due at once in the order of its making", async () => {
    const time = manualTime();
    const ran: string[] = [];
    const note = (name: string) => () => void ran.push(`${name} ${time.monotonicMs()}`);
    time.after(30, note("late"));
    time.after(10, note("first"));
    time.after(10, note("second"));
    time.after(31, note("too late"));
    await time.advance(30);
    expect(ran).toEqual(["first 10", "second 10", "late 30"]);
    expect(time.nextDueMs()).toBe(1);
  });

  it("runs what a timer sets, though it was not there at the beginning of the move", async () => {
    const time = manualTime();
    const ran: number[] = [];
    const again = () => {
      ran.push(time.monotonicMs());
      time.after(10, again);
    };
    time.after(10, again);
    await time.advance(35);
    expect(ran).toEqual([10, 20, 30]);
  });

  it("waits for what a timer began, before it goes on", async () => {
    const time = manualTime();
    const ended: number[] = [];
    time.after(10, async () => {
      await Promise.resolve();
      await time.sleep(5);
      ended.push(time.monotonicMs());
    });
    time.after(20, () => ended.push(time.monotonicMs()));
    await time.advance(20);
    expect(ended).toEqual([15, 20]);
  });

  it("has tickers go on until they are cleared, and timers run once", async () => {
    const time = manualTime();
    const [tick, once, cleared] = [vi.fn(), vi.fn(), vi.fn()];
    const ticker = time.every(10, tick);
    time.after(10, once);
    time.clear(time.after(10, cleared));
    time.clear(undefined);
    await time.advance(30);
    time.clear(ticker);
    await time.advance(30);
    expect([tick, once, cleared].map(({ mock }) => mock.calls.length)).toEqual([3, 1, 0]);
    expect(time.nextDueMs()).toBeUndefined();
  });

  it("starts a timer anew that is refreshed, also when it ran", async () => {
    const time = manualTime();
    const run = vi.fn();
    const timer = time.after(10, run);
    await time.advance(9);
    timer.refresh();
    await time.advance(9);
    expect(run).not.toHaveBeenCalled();
    await time.advance(1);
    timer.refresh();
    await time.advance(10);
    expect(run).toHaveBeenCalledTimes(2);
  });

  it("has a timer of no time run in the next millisecond, as Node's do", async () => {
    const time = manualTime();
    const run = vi.fn();
    time.after(0, run);
    await time.advance(0);
    expect(run).not.toHaveBeenCalled();
    await time.advance(1);
    expect(run).toHaveBeenCalledOnce();
  });

  it("ends a sleep in time, or as soon as its signal aborts, which leaves no timer", async () => {
    const time = manualTime();
    const awake = vi.fn();
    void time.sleep(10).then(awake);
    await time.advance(10);
    expect(awake).toHaveBeenCalledOnce();
    const leaving = new AbortController();
    const left = time.sleep(10, { signal: leaving.signal });
    leaving.abort(new Error("why"));
    await expect(left).rejects.toMatchObject({ name: "AbortError", cause: new Error("why") });
    await expect(time.sleep(10, { signal: leaving.signal })).rejects.toMatchObject({ name: "AbortError" });
    expect(time.nextDueMs()).toBeUndefined();
  });

  it("has its wall clock set without any timer", async () => {
    const time = manualTime({ start });
    const run = vi.fn();
    time.after(10, run);
    time.setWallClock(-3_600_000);
    expect(time.now().getTime() - start.getTime()).toBe(-3_600_000);
    expect(time.monotonicMs()).toBe(0);
    await time.advance(10);
    expect(run).toHaveBeenCalledOnce();
  });

  it("counts a suspension by the wall clock and since the start of the machine alone", async () => {
    const time = manualTime({ start });
    const run = vi.fn();
    time.after(10, run);
    time.suspend(1_000);
    expect([time.now().getTime() - start.getTime(), time.monotonicMs(), time.sinceBootMs()]).toEqual([1_000, 0, 1_000]);
    await time.advance(9);
    expect(run).not.toHaveBeenCalled();
  });
});

describe("a thread that is sent such a time", () => {
  function thread(time: ManualTime) {
    const sent = time.forThread()!;
    onTestFinished(() => {
      sent.port.close();
    });
    return timeOfThread(sent);
  }

  it("has the clocks of its process, from the moment at which it was made", async () => {
    const time = manualTime({ start });
    await time.advance(500);
    const own = thread(time);
    const clocks = ({ now, monotonicMs, sinceBootMs }: Time) => [now().getTime(), monotonicMs(), sinceBootMs()];
    expect(clocks(own)).toEqual(clocks(time));
    await time.advance(500);
    await time.suspend(3_600_000);
    await time.setWallClock(-1);
    expect(clocks(own)).toEqual(clocks(time));
  });

  it("runs what is due there before its process goes on", async () => {
    const time = manualTime();
    const own = thread(time);
    const ran: string[] = [];
    own.every(10, () => ran.push(`thread ${own.monotonicMs()}`));
    time.after(20, () => ran.push("process 20"));
    await time.advance(25);
    expect(ran).toEqual(["thread 20", "process 20"]);
  });

  it("is not waited for once it has ended", async () => {
    const time = manualTime();
    time.forThread()!.port.close();
    await time.advance(10);
    expect(time.monotonicMs()).toBe(10);
  });

  it("has this machine's time if it is sent none", () => {
    expect(realTime.forThread()).toBeUndefined();
    expect(timeOfThread(undefined)).toBe(realTime);
  });
});

it("skips time as a process does that was stopped: what is due runs once, at the end", async () => {
  const time = manualTime();
  const ran: string[] = [];
  time.every(10, () => ran.push(`tick ${time.monotonicMs()}`));
  time.after(35, () => ran.push(`once ${time.monotonicMs()}`));
  await time.skip(100);
  expect(ran).toEqual(["tick 100", "once 100"]);
  await time.advance(10);
  expect(ran.at(-1)).toBe("tick 110");
});
