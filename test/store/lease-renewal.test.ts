/** Work under a lease that lasts for longer than the lease: it is renewed in time, until the work ends or another has it. */
import { expect, it, onTestFinished, vi } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { manualTime } from "../../src/runtime/manual-time.ts";
import { keepRenewing, newHolder } from "../../src/store/lease-renewal.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";

const ttlMs = 60_000;
const name = "some-work";

/** A lease in a store whose clock is the test's, and another holder who asks for it. */
async function held() {
  const time = manualTime({ start: new Date("2026-01-01T00:00:00.000Z") });
  const store = memoryStore(time);
  const [holder, other] = [newHolder(), newHolder()];
  const { generation } = await store.lease(name, holder, ttlMs);
  const lease = { name, holder, ttlMs, generation: generation! };
  return { time, store, lease, asks: async () => (await store.lease(name, other, ttlMs)).generation };
}

it("a lease is not another's while the work lasts, and ends with its time afterwards", async () => {
  const { time, store, lease, asks } = await held();
  const renewing = keepRenewing(store, lease, time);
  for (let minute = 0; minute < 60; minute += 1) {
    await time.advance(ttlMs);
    expect(await asks()).toBeUndefined();
  }
  await renewing.stop();
  expect(renewing.lost.aborted).toBe(false);
  await time.advance(ttlMs - 1);
  expect(await asks()).toBeUndefined();
  await time.advance(ttlMs);
  expect(await asks()).toBe(lease.generation + 1);
  expect(time.timers()).toBe(0);
});

it("a store that does not answer is asked again, in time for the lease", async () => {
  const { time, store, lease, asks } = await held();
  const away = new KmsError("STORE_UNAVAILABLE", "away");
  let failures = 1;
  const flaky = {
    lease: vi.fn((...given: Parameters<typeof store.lease>) => {
      failures -= 1;
      return failures >= 0 ? Promise.reject(away) : store.lease(...given);
    }),
  };
  const renewing = keepRenewing(flaky, lease, time);
  onTestFinished(() => renewing.stop());
  await time.advance(ttlMs);
  expect(flaky.lease.mock.calls.length).toBeGreaterThan(1);
  expect(await asks()).toBeUndefined();
  expect(renewing.lost.aborted).toBe(false);
});

it("work learns of a lease that another has by now", async () => {
  const { time, store, lease } = await held();
  await time.skip(ttlMs);
  await store.lease(name, "another", ttlMs);
  const renewing = keepRenewing(store, lease, time);
  onTestFinished(() => renewing.stop());
  await time.advance(ttlMs / 3);
  expect(renewing.lost.reason).toBeKmsError("LEASE_LOST");
});
