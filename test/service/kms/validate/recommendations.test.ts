/** Recommendations of Validate: the ✅ if every test passed, and behind it what is wrong, each with its code. */
import { expect, it } from "vitest";
import { type Notice, notice } from "../../../../src/notices.ts";
import {
  type Findings,
  type RecommendationParts,
  recommendationsOn,
} from "../../../../src/service/kms/validate/recommendations.ts";

const parts: RecommendationParts = {
  recommendations: [notice("KEY_IN_MEMORY", "Keys are in memory.")],
  faults: [],
  breakers: () => [],
  maxStaleMs: 1,
};
const findings: Findings = {
  isPassed: true,
  advice: [],
  key: undefined,
  provider: "aws",
  cacheHitMs: 9.99,
  cacheMissMs: 99.9,
};
const key: Findings["key"] = { state: "enabled", detail: "Enabled", rotation: "on", advice: [], clockSkewMs: 5_000 };

const well = notice("KEY_PATH_WORKS", "✅ KMS configuration is valid: the key path works");
const [keysInMemory] = parts.recommendations;

it("begins with the ✅ if every test passed, and what is always worth saying follows", () => {
  for (const seen of [undefined, key]) {
    expect(recommendationsOn(parts, { ...findings, key: seen })).toEqual([well, keysInMemory]);
  }
});

it.each<[what: string, parts: Partial<RecommendationParts>, found: Partial<Findings>, code: string, says: string]>([
  ["a test failed", {}, { isPassed: false, advice: ["Allow it."] }, "TEST_FAILED", "Allow it."],
  ["a cached key took long", {}, { cacheHitMs: 10 }, "CACHE_HIT_SLOW", "A cached key took 10 ms"],
  ["another key took long", {}, { cacheMissMs: 100 }, "CACHE_MISS_SLOW", "A key that is not cached took 100 ms"],
  ["the provider advises something", {}, { key: { ...key, advice: ["Do it."] } }, "PROVIDER_ADVICE", "Do it."],
  ["the clock is off", {}, { key: { ...key, clockSkewMs: -5_001 } }, "CLOCK_SKEWED", "Set the clock by NTP"],
  [
    "calls are paused",
    { breakers: () => [{ name: "aws", state: "open" }] },
    {},
    "PROVIDER_PAUSED",
    "Calls to aws are paused",
  ],
  ["no key is served on", { maxStaleMs: 0 }, {}, "NO_STALE_KEYS", "kms.cache.max-stale is 0"],
  [
    "settings or the store are at fault",
    { faults: [notice("SERVER_IN_THE_CLEAR", "No https.")] },
    {},
    "SERVER_IN_THE_CLEAR",
    "No https.",
  ],
  [
    "the policy is",
    { policyAdvice: () => ({ faults: [notice("SEPARATION_OFF", "Keep apart.")], recommendations: [] }) },
    {},
    "SEPARATION_OFF",
    "Keep apart.",
  ],
])("says what is wrong behind it if %s", (_, wrong, found, code, says) => {
  expect(recommendationsOn({ ...parts, ...wrong }, { ...findings, ...found })).toEqual([
    ...(found.isPassed === false ? [] : [well]),
    expect.objectContaining({ code, text: expect.stringContaining(says) }),
    keysInMemory,
  ]);
});

it("says what the policy recommends as it is now, before what is always worth saying", () => {
  const names = notice("DECRYPT_FOR_ALL", "Name tenants.");
  let ofPolicy = { recommendations: [names], faults: [] as Notice[] };
  const all = { ...parts, policyAdvice: () => ofPolicy };
  expect(recommendationsOn(all, findings)).toEqual([well, names, keysInMemory]);
  ofPolicy = { recommendations: [], faults: [] };
  expect(recommendationsOn(all, findings)).toEqual([well, keysInMemory]);
});

it("does not begin so where a test failed for which there is no advice", () => {
  expect(recommendationsOn(parts, { ...findings, isPassed: false })).toEqual([keysInMemory]);
});
