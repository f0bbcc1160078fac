/** What calls cost, and what they would with another TTL. */
import { describe, expect, it } from "vitest";
import { costOf, type Use } from "../../../src/service/kms/cost.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const prices = { per10000Calls: 0.03, perKeyMonth: 1, charged: "all", currency: "USD" } as const;

/** A day with four keys, two of them in steady use, loaded again 55 times, and a few other calls. */
const usual: Use = {
  prices,
  uptimeMs: dayMs,
  calls: new Map([
    ["describe", 2_880],
    ["generate_data_key", 1],
    ["encrypt", 1],
    ["decrypt", 59],
  ]),
  loads: { refreshed: 50, expired: 5 },
  cachedKeys: 4,
  providerKeys: 1,
  ttlMs: hourMs,
  checkMs: 30_000,
};
const cost = (changes: Partial<Use> = {}) => costOf({ ...usual, ...changes });
const nothing: Partial<Use> = { calls: new Map(), loads: { refreshed: 0, expired: 0 }, cachedKeys: 0 };

describe("the price of a month", () => {
  it("is that of 30 days of calls, and of the keys", () => {
    const { providerCallsPerDay, chargedCallsPerDay, costPerMonth } = cost();
    expect([providerCallsPerDay, chargedCallsPerDay]).toEqual([2_941, 2_941]);
    expect(costPerMonth).toBeCloseTo(2_941 * 30 * 0.000003 + 1, 9);
    expect(cost({ providerKeys: 2 }).costPerMonth).toBeCloseTo(2_941 * 30 * 0.000003 + 2, 9);
  });

  it("leaves out looks at the key's state where they are free", () => {
    const free = cost({ prices: { ...prices, charged: "cryptographic" } });
    expect([free.providerCallsPerDay, free.chargedCallsPerDay]).toEqual([2_941, 61]);
    expect(free.costPerMonth).toBeCloseTo(61 * 30 * 0.000003 + 1, 9);
    const inspected = new Map([...usual.calls, ["inspect", 100]] as const);
    expect(cost({ calls: inspected, prices: { ...prices, charged: "cryptographic" } }).chargedCallsPerDay).toBe(61);
  });

  it("is nothing where nothing is charged", () => {
    const gratis = cost({ prices: { ...prices, per10000Calls: 0, perKeyMonth: 0 } });
    expect([gratis.costPerMonth, ...gratis.projections.map((at) => at.mostCostPerMonth)]).toEqual([0, 0, 0, 0]);
    expect(gratis.chargedCallsPerDay).toBe(2_941);
  });
});

describe("another TTL", () => {
  const others = 2_941 - 50;

  it("changes as many loads as were of keys in use, and no other call", () => {
    const { projections } = cost();
    expect(projections.map(({ ttlMs }) => ttlMs)).toEqual([hourMs / 2, hourMs, hourMs * 2]);
    expect(projections.map(({ callsPerDay }) => callsPerDay)).toEqual([others + 100, others + 50, others + 25]);
    expect(projections[1]!.costPerMonth).toBe(cost().costPerMonth);
  });

  it("costs at most what it does when every cached key stays in use", () => {
    const steady = (ttlHours: number) => 2_941 - 55 + (4 * 24) / (0.875 * ttlHours);
    const most = cost().projections.map(({ mostCallsPerDay }) => mostCallsPerDay);
    expect(most[0]).toBeCloseTo(steady(0.5), 9);
    expect(most[1]).toBeCloseTo(steady(1), 9);
    expect(most[2]).toBeCloseTo(steady(2), 9);
  });

  it("costs at most no less than is expected, when keys that were in use are cached no more", () => {
    for (const at of cost({ cachedKeys: 0 }).projections) expect(at.mostCallsPerDay).toBe(at.callsPerDay);
  });

  it("knows of the looks to come, but where they are free", () => {
    const young = cost({ ...nothing, uptimeMs: 1_000, providerKeys: 2, calls: new Map([["describe", 2]]) });
    expect(young.projections.map(({ callsPerDay }) => callsPerDay)).toEqual([48, 48, 48]);
    expect(young.projections.map(({ mostCallsPerDay }) => mostCallsPerDay)).toEqual([5_760, 5_760, 5_760]);
    const free = cost({ ...nothing, prices: { ...prices, charged: "cryptographic" } });
    expect(free.projections.map(({ mostCallsPerDay }) => mostCallsPerDay)).toEqual([0, 0, 0]);
  });
});

describe("a rate", () => {
  it("of loads that come again is that since start, where the TTL is shorter than an hour", () => {
    const calls = new Map([["decrypt", 14]]); // two made, loaded again six times each in five minutes
    const young = cost({
      calls,
      loads: { refreshed: 11, expired: 1 },
      cachedKeys: 2,
      ttlMs: 60_000,
      uptimeMs: 300_000,
    });
    expect(young.providerCallsPerDay).toBeCloseTo(2 * 24 + 12 * 288, 9);
    expect(young.projections.map(({ callsPerDay }) => callsPerDay)).toEqual([
      expect.closeTo(2 * 24 + 23 * 288, 9),
      expect.closeTo(2 * 24 + 12 * 288, 9),
      expect.closeTo(2 * 24 + 6.5 * 288, 9),
    ]);
  });

  it("of the first hour is that of an hour, and called rough until twice the TTL is over", () => {
    const made = { ...nothing, calls: new Map([["encrypt", 1]]) };
    for (const uptimeMs of [0, 1, hourMs]) expect(cost({ ...made, uptimeMs }).providerCallsPerDay).toBe(24);
    expect(cost({ ...made, uptimeMs: 2 * hourMs }).providerCallsPerDay).toBe(12);
    expect(cost({ uptimeMs: hourMs - 1 }).uncertainty).toMatch(/less than an hour/);
    expect(cost({ uptimeMs: 2 * hourMs - 1 }).uncertainty).toMatch(/less than twice kms\.cache\.ttl/);
    expect(cost({ uptimeMs: 2 * hourMs }).uncertainty).toBe("");
    expect(cost({ uptimeMs: hourMs, ttlMs: 60_000 }).uncertainty).toBe("");
  });
});

it("costs, in the quickstart's example, what the quickstart says", () => {
  const { example } = cost();
  expect(example).toEqual({
    requestsPerSecond: 1_000,
    cacheHitRate: 0.8,
    callsPerDay: 518_400_000 / 30,
    costPerMonth: expect.closeTo(1_556.2, 9),
  });
  expect(cost({ prices: { ...prices, per10000Calls: 0.06 }, providerKeys: 7 }).example.costPerMonth).toBeCloseTo(
    3_111.4,
    9,
  );
});
