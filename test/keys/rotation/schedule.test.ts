/** When a replica looks whether due keys are to be rotated: on timers that the test moves. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KmsError } from "../../../src/errors.ts";
import type { RotationResult } from "../../../src/keys/rotation/rotation.ts";
import { type RotationSchedule, type ScheduleOptions, scheduleRotation } from "../../../src/keys/rotation/schedule.ts";
import { memoryStore } from "../../../src/store/sqlite/memory.ts";
import type { Fence, LeaseAnswer } from "../../../src/store/lease-store.ts";
import { msFromNow } from "../../support/from-now.ts";
import { realTime } from "../../../src/runtime/time.ts";

const minuteMs = 60_000;
const none: RotationResult = { rotated: [], skipped: [], failed: [], remaining: 0 };

let schedule: RotationSchedule;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  vi.setSystemTime("2026-01-01T01:00:00.000Z");
});
afterEach(async () => {
  await schedule.stop();
  vi.useRealTimers();
});

const yesterday = "2025-12-31T02:00:15.000Z";

/** A schedule over a lease of its own, with the times at which it rotated. The last run was done, unless it is told otherwise. */
function start({
  starts = true,
  ...options
}: Partial<ScheduleOptions> & { finishedAt?: string | undefined; starts?: boolean } = {}) {
  const noted = "finishedAt" in options ? options.finishedAt : yesterday;
  let finishedAt = noted === undefined ? undefined : new Date(noted);
  const rotatedAt: string[] = [];
  const problems: unknown[] = [];
  const leases: number[] = [];
  schedule = scheduleRotation({
    cron: "0 0 2 * * ?",
    time: realTime,
    random: () => 0.5,
    store: {
      async lease(_name: string, _holder: string, ttlMs: number): Promise<LeaseAnswer> {
        leases.push(ttlMs);
        return { generation: 1, finishedAt };
      },
      async finishLease(_fence: Fence, at: Date) {
        finishedAt = at;
      },
    },
    rotation: {
      async rotateDue() {
        rotatedAt.push(new Date().toISOString());
        return none;
      },
    },
    report() {},
    fail: (error) => problems.push(error),
    ...options,
  });
  if (starts) schedule.start();
  return { rotatedAt, problems, leases };
}

describe("a schedule", () => {
  it("rotates at its time in UTC, and a little later", async () => {
    const { rotatedAt } = start();
    expect(schedule.next()).toEqual(new Date("2026-01-01T02:00:00.000Z"));
    await vi.advanceTimersByTimeAsync(60 * minuteMs + 15_000);
    expect(rotatedAt).toEqual(["2026-01-01T02:00:15.000Z"]);
    expect(schedule.last()).toEqual(new Date("2026-01-01T02:00:15.000Z"));
    expect(schedule.next()).toEqual(new Date("2026-01-02T02:00:00.000Z"));
    await vi.advanceTimersByTimeAsync(24 * 60 * minuteMs);
    expect(rotatedAt.slice(1)).toEqual(["2026-01-02T02:00:15.000Z"]);
  });

  it("rotates nothing before its start, and then what was planned meanwhile", async () => {
    const { rotatedAt, leases } = start({ starts: false });
    await vi.advanceTimersByTimeAsync(60 * minuteMs + 31_000);
    expect(schedule.next()).toEqual(new Date("2026-01-02T02:00:00.000Z"));
    expect(leases).toEqual([]);
    schedule.start();
    await vi.advanceTimersByTimeAsync(15_000);
    expect(rotatedAt).toEqual(["2026-01-01T02:00:46.000Z"]);
  });

  it("counts weekdays as Quartz does: 1 is Sunday", async () => {
    start({ cron: "0 0 2 ? * 1" });
    expect(schedule.next()).toEqual(new Date("2026-01-04T02:00:00.000Z"));
  });

  it("spreads replicas over half a minute", async () => {
    const { rotatedAt } = start({ random: () => 0.9999 });
    await vi.advanceTimersByTimeAsync(60 * minuteMs + 29_000);
    expect(rotatedAt).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(rotatedAt).toHaveLength(1);
  });

  it("catches up every five minutes with a run that failed", async () => {
    let failures = 2;
    const { problems } = start({
      rotation: {
        async rotateDue() {
          if (failures === 0) return none;
          failures -= 1;
          throw new KmsError("STORE_UNAVAILABLE", "down");
        },
      },
    });
    await vi.advanceTimersByTimeAsync(61 * minuteMs);
    expect(schedule.last()).toEqual(new Date(yesterday));
    await vi.advanceTimersByTimeAsync(11 * minuteMs);
    expect(problems).toHaveLength(2);
    for (const problem of problems) expect(problem).toBeKmsError("STORE_UNAVAILABLE");
    expect(schedule.last()!.getTime()).toBeGreaterThan(Date.parse("2026-01-01T02:00:00.000Z"));
  });

  it.each([
    ["there never was a run", undefined],
    ["one was missed while no replica was there", "2025-12-24T02:00:00.000Z"],
  ])("runs soon after its start where %s, and then when one is planned", async (_what, finishedAt) => {
    const { rotatedAt } = start({ finishedAt });
    await vi.advanceTimersByTimeAsync(70 * minuteMs);
    expect(rotatedAt).toEqual(["2026-01-01T01:00:15.000Z", "2026-01-01T02:00:15.000Z"]);
  });

  it("does one run at a time, whatever ticks meanwhile", async () => {
    const { promise, resolve } = Promise.withResolvers<RotationResult>();
    let runs = 0;
    start({
      cron: "0 * * * * ?",
      rotation: {
        rotateDue() {
          runs += 1;
          return promise;
        },
      },
    });
    await vi.advanceTimersByTimeAsync(20 * minuteMs);
    expect(runs).toBe(1);
    resolve(none);
    await vi.advanceTimersByTimeAsync(2 * minuteMs);
    expect(runs).toBeGreaterThan(1);
  });

  it("takes over within half a minute of the end of the lease of a replica that died", async () => {
    const store = memoryStore(realTime);
    const leaseTtlMs = 40_000;
    const diedAtMs = msFromNow(0);
    expect((await store.lease("rotation/2", "there", leaseTtlMs)).generation).toBe(1);
    const { rotatedAt } = start({ store, leaseTtlMs, random: () => 0.9999 });
    for (let second = 0; second < 100 && rotatedAt.length === 0; second += 1) {
      await vi.advanceTimersByTimeAsync(1_000);
      await store.counts(); // what was asked of it before is done
    }
    const waitedMs = Date.parse(rotatedAt[0]!) - diedAtMs;
    expect(waitedMs).toBeGreaterThanOrEqual(leaseTtlMs);
    expect(waitedMs).toBeLessThanOrEqual(leaseTtlMs + 30_000);
    expect(schedule.last()).toBeDefined();
  });

  it("looks no more often than that while another replica is at it, and not again once that one is done", async () => {
    let finishedAt: Date | undefined;
    let isHeld = true;
    let looks = 0;
    const { rotatedAt } = start({
      cron: "0 0 2 * * ?",
      store: {
        async lease() {
          looks += 1;
          return { generation: isHeld ? undefined : 1, finishedAt };
        },
        async finishLease() {},
      },
    });
    await vi.advanceTimersByTimeAsync(10 * minuteMs);
    expect(looks).toBeGreaterThanOrEqual(20);
    expect(looks).toBeLessThanOrEqual(40);
    isHeld = false;
    finishedAt = new Date();
    await vi.advanceTimersByTimeAsync(minuteMs);
    looks = 0;
    await vi.advanceTimersByTimeAsync(20 * minuteMs);
    expect(looks).toBe(0);
    expect(rotatedAt).toEqual([]);
  });

  it("reports a run, and counts the rotations that failed", async () => {
    const failed = [{ tenantId: "acme", purpose: "data", keyId: "1", error: new KmsError("DATA_LOSS", "damaged") }];
    const result = { ...none, failed, remaining: 1 } as RotationResult;
    const reported: RotationResult[] = [];
    start({ rotation: { rotateDue: async () => result }, report: (each) => reported.push(each) });
    await vi.advanceTimersByTimeAsync(61 * minuteMs);
    expect(reported).toEqual([result]);
    expect(schedule.failed()).toBe(1);
  });
});

describe("a schedule that is stopped", () => {
  it("looks no more", async () => {
    const { rotatedAt, leases } = start();
    await schedule.stop();
    await vi.advanceTimersByTimeAsync(48 * 60 * minuteMs);
    expect([rotatedAt, leases]).toEqual([[], []]);
  });

  it("waits for what runs, gives the lease back and calls that no failure", async () => {
    let ended = false;
    const { problems, leases } = start({
      rotation: {
        rotateDue: (_request, signal) =>
          new Promise((_resolve, reject) => {
            signal!.addEventListener("abort", () => {
              ended = true;
              reject(new KmsError("CANCELLED", "the call was cancelled"));
            });
          }),
      },
    });
    await vi.advanceTimersByTimeAsync(61 * minuteMs);
    await schedule.stop();
    expect(ended).toBe(true);
    expect(leases.at(-1)).toBe(0);
    expect(problems).toEqual([]);
  });
});
