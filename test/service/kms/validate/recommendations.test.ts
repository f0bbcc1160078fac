/** What Validate recommends: that all is well, only where it is, and what is wrong otherwise. */
import { expect, it } from "vitest";
import {
  allIsWell,
  type Findings,
  type RecommendationParts,
  recommendationsOn,
} from "../../../../src/service/kms/validate/recommendations.ts";

const parts: RecommendationParts = {
  recommendations: ["Keys are in memory."],
  faults: [],
  breakers: () => [],
  maxStaleMs: 1,
};
const findings: Findings = { isPassed: true, advice: [], key: undefined, cacheHitMs: 9.99, cacheMissMs: 99.9 };
const key: Findings["key"] = { state: "enabled", detail: "Enabled", rotation: "on", advice: [], clockSkewMs: 5_000 };

it("begins with all being well where nothing is wrong, and what is always worth saying follows", () => {
  for (const seen of [undefined, key]) {
    expect(recommendationsOn(parts, { ...findings, key: seen })).toEqual([
      "✅ KMS configuration is valid and ready for production",
      "Keys are in memory.",
    ]);
  }
});

it.each<[what: string, parts: Partial<RecommendationParts>, found: Partial<Findings>, says: string]>([
  ["a test failed", {}, { isPassed: false, advice: ["Allow it."] }, "Allow it."],
  ["a cached key took long", {}, { cacheHitMs: 10 }, "A cached key took 10 ms"],
  ["another key took long", {}, { cacheMissMs: 100 }, "A key that is not cached took 100 ms"],
  ["the provider advises something", {}, { key: { ...key, advice: ["Rotate it."] } }, "Rotate it."],
  ["the clock is off", {}, { key: { ...key, clockSkewMs: -5_001 } }, "Set the clock by NTP"],
  ["calls are paused", { breakers: () => [{ name: "aws", state: "open" }] }, {}, "Calls to aws are paused"],
  ["no key is served on", { maxStaleMs: 0 }, {}, "kms.cache.max-stale is 0"],
  ["settings or the store are at fault", { faults: ["No https."] }, {}, "No https."],
  ["the policy is", { policyAdvice: () => ({ faults: ["Keep apart."], recommendations: [] }) }, {}, "Keep apart."],
])("says what is wrong instead where %s", (_, wrong, found, says) => {
  expect(recommendationsOn({ ...parts, ...wrong }, { ...findings, ...found })).toEqual([
    expect.stringContaining(says),
    "Keys are in memory.",
  ]);
});

it("says what the policy recommends as it is now, before what is always worth saying", () => {
  let ofPolicy = { recommendations: ["Name tenants."], faults: [] as string[] };
  const all = { ...parts, policyAdvice: () => ofPolicy };
  expect(recommendationsOn(all, findings)).toEqual([allIsWell, "Name tenants.", "Keys are in memory."]);
  ofPolicy = { recommendations: [], faults: [] };
  expect(recommendationsOn(all, findings)).toEqual([allIsWell, "Keys are in memory."]);
});

it("does not begin so where a test failed for which there is no advice", () => {
  expect(recommendationsOn(parts, { ...findings, isPassed: false })).not.toContain(allIsWell);
});
