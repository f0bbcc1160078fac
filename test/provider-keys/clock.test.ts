/** The provider's clock as a second one, whatever happens to this machine's. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { providerClock } from "../../src/provider-keys/clock.ts";
import { type ProviderWatch, watchProvider } from "../../src/provider-keys/watch.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import { KmsError } from "../../src/errors.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { wallTime } from "../support/wall-time.ts";
import { msFromNow } from "../support/from-now.ts";

const startMs = Date.parse("2026-01-01T00:00:00.000Z");
const yearMs = 365 * 24 * 60 * 60_000;
const minuteMs = 60_000;
let watch: ProviderWatch | undefined;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"], now: startMs });
});
afterEach(() => {
  watch?.stop();
  vi.useRealTimers();
});

/** A provider whose clock is `behindMs` behind the true time, and a machine whose wall clock the test sets. */
async function setUp({ behindMs = 0, intervalMs = 30_000 } = {}) {
  const world = { aheadMs: 0, suspendedMs: 0, looks: 0, tells: true, answers: true };
  const trueMs = () => msFromNow(world.suspendedMs);
  const time = wallTime(() => new Date(trueMs() + world.aheadMs));
  const provider: Provider = {
    ...localProvider(randomMasterKey()),
    name: "aws",
    async describe() {
      world.looks += 1;
      if (!world.answers) throw new KmsError("PROVIDER_UNAVAILABLE", "no answer");
      const clockSkewMs = world.tells ? time.now().getTime() - (trueMs() - behindMs) : undefined;
      return { state: "enabled", detail: "Enabled", clockSkewMs };
    },
  };
  watch = await watchProvider({ provider, time, intervalMs, random: () => 0.5 });
  return {
    world,
    read: providerClock(watch, { time }).read,
    name: providerClock(watch, { time }).name,
    trueMs,
    watch,
  };
}

it("is the provider's, and costs no look of its own", async () => {
  const { read, name, world, trueMs } = await setUp({ behindMs: 7_000 });
  await vi.advanceTimersByTimeAsync(20_000);
  expect((await read())?.getTime()).toBe(trueMs() - 7_000);
  expect(world.looks).toBe(1);
  expect(name).toBe("the provider aws");
});

it.each([yearMs, -yearMs])("does not go with a wall clock that is set %d ms off after the look", async (aheadMs) => {
  const { read, world, trueMs } = await setUp();
  world.aheadMs = aheadMs;
  expect((await read())?.getTime()).toBe(trueMs());
  expect(world.looks).toBe(2); // to be sure
});

it("is read anew after a suspension, which the monotonic clock did not count", async () => {
  const { read, world, trueMs } = await setUp();
  world.suspendedMs = 60 * minuteMs;
  expect((await read())?.getTime()).toBe(trueMs());
});

it("is read anew where looks are seldom", async () => {
  const { read, world, trueMs } = await setUp({ intervalMs: 60 * minuteMs });
  await vi.advanceTimersByTimeAsync(2 * minuteMs);
  await read();
  expect(world.looks).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect((await read())?.getTime()).toBe(trueMs());
  expect(world.looks).toBe(2);
});

it("cannot be read of a provider that tells none, or does not answer", async () => {
  const { read, world, watch } = await setUp();
  world.answers = false;
  await watch.look();
  expect(await read()).toBeUndefined();
  Object.assign(world, { answers: true, tells: false });
  await watch.look();
  const { looks } = world;
  expect(await read()).toBeUndefined();
  expect(world.looks).toBe(looks);
});
