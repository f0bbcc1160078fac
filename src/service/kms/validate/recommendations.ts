/**
 * Recommendations of Validate: that the key path works, or what failed; then what will or may fail; then what is always worth saying.
 */
import { type Notice, notice } from "../../../notices.ts";
import { type Looks, skewText, worstSkewMs } from "./tests.ts";

export interface RecommendationParts {
  /** What is always worth saying about this configuration, and wrong with none. */
  recommendations: readonly Notice[];
  /** What is wrong whenever one looks: with the configuration, or with the store's key. */
  faults: readonly Notice[];
  /** Both of the policy in force. */
  policyAdvice?: (() => Pick<RecommendationParts, "recommendations" | "faults">) | undefined;
  breakers(): readonly { name: string; state: string }[];
  /** `kms.cache.max-stale`. */
  maxStaleMs: number;
}

export interface Findings {
  /** Whether every test passed. */
  isPassed: boolean;
  /** What is to be done about tests that failed. */
  advice: readonly string[];
  key: Looks["key"];
  /** Name of the provider. */
  provider: string;
  /** Of the tests that passed. */
  cacheHitMs: number;
  cacheMissMs: number;
}

const slowHitMs = 10;
const slowMissMs = 100;
const poorSkewMs = 5_000;

/** The ✅ stands whenever every test passed. What else is recommended follows it. */
export function recommendationsOn(parts: RecommendationParts, findings: Findings): Notice[] {
  const { isPassed, advice, key, provider, ...times } = findings;
  const ofPolicy = parts.policyAdvice?.();
  const wrong = [
    ...advice.map((text) => notice("TEST_FAILED", text)),
    ...(key?.advice ?? []).map((text) => notice("PROVIDER_ADVICE", text, provider)),
    ...(key?.rotationAdvice === undefined ? [] : [notice("KEY_ROTATION_OFF", key.rotationAdvice, provider)]),
    ...skewAdvice(key?.clockSkewMs),
    ...speedAdvice(times),
    ...pausedAdvice(parts.breakers()),
    ...(parts.maxStaleMs > 0 ? [] : [noStaleAdvice]),
    ...parts.faults,
    ...(ofPolicy?.faults ?? []),
  ];
  const worthSaying = [...(ofPolicy?.recommendations ?? []), ...parts.recommendations];
  const all = [...(isPassed ? [notice("KEY_PATH_WORKS", allIsWell)] : []), ...wrong, ...worthSaying];
  return all.filter(
    ({ text }, at) =>
      all.findIndex((other) => other.text === text) === at &&
      !all.some((other) => other.text !== text && other.text.includes(text)),
  );
}

/** Begins as FLUO's quickstart tells its readers to look for. Readiness for production is for preflight to say. */
export const allIsWell = "✅ KMS configuration is valid: the key path works";

/** As the quickstart ends on the provider `local`. */
export const localAdvice =
  "For production switch to fluo.kms.provider=aws (or azure, gcp, vault): with local the master key is in this process, or in a file beside it.";

const noStaleAdvice = notice(
  "NO_STALE_KEYS",
  "kms.cache.max-stale is 0: when the provider gives no answer, a cached key fails as soon as kms.cache.ttl is over; set it to 4h, say.",
  "kms.cache.max-stale",
);

function skewAdvice(skewMs = 0): Notice[] {
  const size = Math.abs(skewMs);
  if (size <= poorSkewMs || size > worstSkewMs) return [];
  const text = `Set the clock by NTP: ${skewText(skewMs)}, and from 300 s on a provider refuses signed requests.`;
  return [notice("CLOCK_SKEWED", text)];
}

function speedAdvice({ cacheHitMs, cacheMissMs }: Pick<Findings, "cacheHitMs" | "cacheMissMs">): Notice[] {
  const advice: Notice[] = [];
  if (cacheHitMs >= slowHitMs) {
    const text = `A cached key took ${cacheHitMs.toFixed(0)} ms: the process is short of CPU; give it more, or more replicas.`;
    advice.push(notice("CACHE_HIT_SLOW", text));
  }
  if (cacheMissMs >= slowMissMs) {
    const text = `A key that is not cached took ${cacheMissMs.toFixed(0)} ms: use a provider region nearer by, or a longer kms.cache.ttl.`;
    advice.push(notice("CACHE_MISS_SLOW", text));
  }
  return advice;
}

function pausedAdvice(breakers: readonly { name: string; state: string }[]): Notice[] {
  return breakers
    .filter(({ state }) => state !== "closed")
    .map(({ name }) => {
      const text = `Calls to ${name} are paused, because it does not answer: see to it and to the way there.`;
      return notice("PROVIDER_PAUSED", text, name);
    });
}
