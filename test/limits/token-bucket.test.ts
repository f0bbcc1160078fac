/** Token buckets: what they admit, what is owed, and for whom they are kept. */
import { describe, expect, it } from "vitest";
import { keyedBuckets, maxBuckets } from "../../src/limits/keyed-buckets.ts";
import { admit, type Rate, rateOf, tokenBucket } from "../../src/limits/token-bucket.ts";
import { thrownBy } from "../support/matchers.ts";
import { randomFrom } from "../crash/random.ts";

describe("a token bucket", () => {
  it("admits its burst at once, then its rate, and says when another fits", async () => {
    let ms = 5_000;
    const bucket = tokenBucket(rateOf(10, 10), { now: () => ms });
    for (let n = 0; n < 10; n += 1) admit(bucket);
    expect(await thrownBy(() => admit(bucket))).toMatchObject({ code: "RATE_LIMITED", retryAfterMs: 100 });
    ms += 99;
    expect(await thrownBy(() => admit(bucket))).toMatchObject({ message: "too many calls: wait", retryAfterMs: 1 });
    ms += 1;
    admit(bucket);
    expect(await thrownBy(() => admit(bucket))).toBeKmsError("RATE_LIMITED");
    ms += 60_000;
    for (let n = 0; n < 10; n += 1) admit(bucket);
    expect(await thrownBy(() => admit(bucket))).toBeKmsError("RATE_LIMITED");
  });

  it("has a burst of 2 s of its rate unless another is given, and of one at least", () => {
    expect(rateOf(5)).toEqual({ perSecond: 5, burst: 10 });
    expect(rateOf(10, 100)).toEqual({ perSecond: 10, burst: 100 });
    expect(rateOf(0.1)).toEqual({ perSecond: 0.1, burst: 1 });
  });

  it("serves what costs more than it holds, and has the next wait until that is paid", () => {
    let ms = 0;
    const bucket = tokenBucket(rateOf(5), { now: () => ms });
    bucket.take(11);
    expect(bucket.waitMs()).toBe(400);
    bucket.take(100);
    expect(bucket.waitMs()).toBe(20_400);
    ms = 20_399.5;
    expect(bucket.waitMs()).toBe(0.5);
    ms = 20_400;
    expect(bucket.waitMs()).toBe(0);
  });

  it("has nobody wait for longer than 5 min, or than another bound", () => {
    const time = { ms: 0 };
    const now = () => time.ms;
    const bucket = tokenBucket(rateOf(1), { now });
    for (let n = 0; n < 10_000; n += 1) bucket.take(100);
    expect(bucket.waitMs()).toBe(300_000);
    const bounded = tokenBucket(rateOf(10, 100), { now, debtMs: 0 });
    for (let n = 0; n < 10_000; n += 1) bounded.take();
    expect(bounded.waitMs()).toBe(100);
    time.ms = 100;
    expect(bounded.admit()).toBe(0);
    expect(bounded.admit()).toBe(100);
  });

  it("is shared by those with other rates, each of whose units takes its part of a second", () => {
    const bucket = tokenBucket(rateOf(10), { now: () => 0 });
    for (let n = 0; n < 20; n += 1) bucket.take(); // 2 s at 10 a second
    expect(bucket.waitMs()).toBe(100);
    expect(bucket.waitMs(rateOf(1))).toBe(1_000);
    bucket.take(1, rateOf(1));
    expect(bucket.waitMs()).toBe(1_100);
  });

  it.each([1, 3, 7, 9_999])("of %i a second admits as many, whatever its parts of a second are", (perSecond) => {
    const bucket = tokenBucket(rateOf(perSecond, perSecond), { now: () => 12_345.678 });
    for (let n = 0; n < perSecond; n += 1) admit(bucket);
    expect(bucket.waitMs()).toBeGreaterThan(0);
  });

  it("admits in any time its burst and rate and one call's excess at most, and never makes a caller wait too long", () => {
    for (let seed = 0; seed < 200; seed += 1) {
      const random = randomFrom(seed);
      const upTo = (most: number) => 1 + random.below(most);
      const rate = rateOf(upTo(50));
      let ms = 0;
      const bucket = tokenBucket(rate, { now: () => ms });
      const served: { ms: number; units: number }[] = [];
      for (let step = 0; step < 60; step += 1) {
        ms += upTo(3_000);
        const waitMs = bucket.waitMs();
        if (waitMs === 0) {
          const units = upTo(40);
          bucket.take(units);
          served.push({ ms, units });
          continue;
        }
        const nowMs = ms;
        ms = nowMs + waitMs - 0.01;
        expect(bucket.waitMs(), `seed ${seed}`).toBeGreaterThan(0);
        ms = nowMs + waitMs;
        expect(bucket.waitMs(), `seed ${seed}`).toBe(0);
        ms = nowMs;
      }
      for (const from of served.keys()) expect(excess(served.slice(from), rate), `seed ${seed}`).toBeLessThan(0.001);
    }
  });
});

/** Units that were taken since the first and before the last, beyond what burst and rate allow. */
function excess(served: readonly { ms: number; units: number }[], { burst, perSecond }: Rate): number {
  const before = served.slice(0, -1).reduce((sum, { units }) => sum + units, 0);
  return before - (burst - 1 + (perSecond * (served.at(-1)!.ms - served[0]!.ms)) / 1_000);
}

describe("buckets by key", () => {
  it("are each key's own", () => {
    const buckets = keyedBuckets(rateOf(1, 1), { now: () => 0 });
    buckets.of("ann").take();
    expect(buckets.of("ann").waitMs()).toBe(1_000);
    expect(buckets.of("bob").waitMs()).toBe(0);
  });

  it("forget the key used longest ago once there are too many to remember", () => {
    const buckets = keyedBuckets(rateOf(1, 1), { now: () => 0 });
    const keys = Array.from({ length: maxBuckets }, (_, n) => `key-${n}`);
    for (const key of keys) buckets.of(key).take();
    buckets.of(keys[0]!);
    buckets.of("one too many").take();
    expect(buckets.waitMs(keys[0]!)).toBe(1_000);
    expect(buckets.waitMs(keys[1]!)).toBe(0);
    expect(buckets.waitMs(keys[2]!)).toBe(1_000);
  });

  it("forget none for a key that is only looked at", () => {
    const buckets = keyedBuckets(rateOf(1, 1), { now: () => 0 });
    buckets.of("first").take();
    for (let n = 0; n < 2 * maxBuckets; n += 1) expect(buckets.waitMs(`other-${n}`)).toBe(0);
    expect(buckets.waitMs("first")).toBe(1_000);
  });
});
