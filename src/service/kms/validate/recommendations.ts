/**
 * What Validate recommends, a sentence each: that all is well, or what failed, then what will or may fail; then what is always worth saying.
 */
import { type Looks, skewText, worstSkewMs } from "./tests.ts";

export interface RecommendationParts {
  /** What is always worth saying about this configuration, and wrong with none. */
  recommendations: readonly string[];
  /** What is wrong whenever one looks: with the configuration, or with the store's key. */
  faults: readonly string[];
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
  /** Of the tests that passed. */
  cacheHitMs: number;
  cacheMissMs: number;
}

const slowHitMs = 10;
const slowMissMs = 100;
const poorSkewMs = 5_000;

export function recommendationsOn(parts: RecommendationParts, { isPassed, advice, key, ...times }: Findings): string[] {
  const ofPolicy = parts.policyAdvice?.();
  const wrong = [
    ...advice,
    ...(key?.advice ?? []),
    ...skewAdvice(key?.clockSkewMs),
    ...speedAdvice(times),
    ...pausedAdvice(parts.breakers()),
    ...(parts.maxStaleMs > 0 ? [] : [noStaleAdvice]),
    ...parts.faults,
    ...(ofPolicy?.faults ?? []),
  ];
  const worthSaying = [...(ofPolicy?.recommendations ?? []), ...parts.recommendations];
  const all = new Set([...(isPassed && wrong.length === 0 ? [allIsWell] : []), ...wrong, ...worthSaying]);
  return [...all].filter((one) => ![...all].some((other) => other !== one && other.includes(one)));
}

/** To the letter what FLUO's quickstart tells its readers to look for. */
export const allIsWell = "✅ KMS configuration is valid and ready for production";

/** As the quickstart ends on the provider `local`. */
export const localAdvice =
  "For production switch to fluo.kms.provider=aws (or azure, gcp, vault): with local the master key is in this process, or in a file beside it.";

const noStaleAdvice =
  "kms.cache.max-stale is 0: when the provider gives no answer, a cached key fails as soon as kms.cache.ttl is over; set it to 4h, say.";

function skewAdvice(skewMs = 0): string[] {
  const size = Math.abs(skewMs);
  if (size <= poorSkewMs || size > worstSkewMs) return [];
  return [`Set the clock by NTP: ${skewText(skewMs)}, and from 300 s on a provider refuses signed requests.`];
}

function speedAdvice({ cacheHitMs, cacheMissMs }: Pick<Findings, "cacheHitMs" | "cacheMissMs">): string[] {
  const advice: string[] = [];
  if (cacheHitMs >= slowHitMs) {
    advice.push(
      `A cached key took ${cacheHitMs.toFixed(0)} ms: the process is short of CPU; give it more, or more replicas.`,
    );
  }
  if (cacheMissMs >= slowMissMs) {
    advice.push(
      `A key that is not cached took ${cacheMissMs.toFixed(0)} ms: use a provider region nearer by, or a longer kms.cache.ttl.`,
    );
  }
  return advice;
}

function pausedAdvice(breakers: readonly { name: string; state: string }[]): string[] {
  return breakers
    .filter(({ state }) => state !== "closed")
    .map(({ name }) => `Calls to ${name} are paused, because it does not answer: see to it and to the way there.`);
}
