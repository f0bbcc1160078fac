/** The rotation schedule: batches until none is due, Quartz expressions in UTC. */
import { afterEach, expect, it } from "vitest";
import { KmsError } from "../../src/errors.ts";
import type { RotationResult } from "../../src/keys/rotation.ts";
import { type RotationSchedule, scheduleRotation } from "../../src/keys/schedule.ts";
import { dayMs, setUp } from "./fixture.ts";

let schedule: RotationSchedule | undefined;
afterEach(() => schedule?.stop());

const everySecond = "* * * * * ?";

/** Resolves with the results of one run: once a batch has left nothing, or nothing more came of it. */
function firstRun(
  rotation: Parameters<typeof scheduleRotation>[0]["rotation"],
  last: (result: RotationResult) => boolean,
) {
  const results: RotationResult[] = [];
  return new Promise<RotationResult[]>((resolve, reject) => {
    const report = (result: RotationResult) => {
      results.push(result);
      if (last(result)) resolve(results);
    };
    schedule = scheduleRotation({ cron: everySecond, rotation, report, fail: reject });
  });
}

it("rotates every key that is due, batch by batch", async () => {
  const { keyring, time } = setUp();
  for (let tenant = 0; tenant < 120; tenant += 1) await keyring.activeDataKey(`t${tenant}`);
  time.ms += 91 * dayMs;
  const results = await firstRun(keyring, ({ remaining }) => remaining === 0);
  expect(results.map(({ rotated }) => rotated.length)).toEqual([100, 20]);
  expect(schedule!.failed()).toBe(0);
});

it("stops when a batch gets nowhere, and counts what failed", async () => {
  const { keyring, time, store, provider } = setUp();
  await keyring.activeDataKey("acme");
  time.ms += 91 * dayMs;
  const broken = {
    ...provider,
    generateDataKey: async () => Promise.reject(new KmsError("PROVIDER_UNAVAILABLE", "down")),
  };
  const failing = setUp({ store, provider: broken, clock: () => new Date(time.start + time.ms) });
  const [result] = await firstRun(failing.keyring, () => true);
  expect(result).toMatchObject({ rotated: [], failed: [{ tenantId: "acme" }], remaining: 1 });
  expect(schedule!.failed()).toBe(1);
});

it("tells when it looks next, in UTC", () => {
  const rotation = setUp().keyring;
  schedule = scheduleRotation({ cron: "0 0 2 * * ?", rotation, report() {}, fail() {} });
  expect(schedule.next()!.toISOString()).toMatch(/T02:00:00\.000Z$/);
});
