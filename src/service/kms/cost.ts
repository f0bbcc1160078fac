/**
 * What calls to the provider cost, and what they would at another `kms.cache.ttl`. docs/COST.md has the reasons.
 *
 * Of all calls only the loads of keys depend on the TTL. A key in steady use is loaded once in `meanLife` of it: twice as often at half
 * of it. One that is asked for again after its time is loaded at most so much more often, as a TTL that is half as long makes at most two
 * loads of one. The first load of a key, its making and rotation, and looks at the provider's key stay as they are.
 */
import { meanLife } from "../../keys/stale-policy.ts";

export interface Prices {
  per10000Calls: number;
  perKeyMonth: number;
  /** Of the calls: all, or all but looks at the state of a key. */
  charged: "all" | "cryptographic";
  currency: string;
}

/** What there was since start, in this process. */
export interface Use {
  prices: Prices;
  uptimeMs: number;
  /** Requests that reached the provider, by operation. */
  calls: ReadonlyMap<string, number>;
  /** Of the calls, those that loaded a key, by why: see keys/stale-policy.ts. */
  loads: { refreshed: number; expired: number };
  /** Now. */
  cachedKeys: number;
  providerKeys: number;
  /** Now. */
  ttlMs: number;
  /** Between looks at each provider key. */
  checkMs: number;
}

export interface Projection {
  ttlMs: number;
  callsPerDay: number;
  costPerMonth: number;
  /** If every key that is cached now stayed in use. */
  mostCallsPerDay: number;
  mostCostPerMonth: number;
}

export interface Cost {
  providerCallsPerDay: number;
  chargedCallsPerDay: number;
  costPerMonth: number;
  projections: Projection[];
  example: { requestsPerSecond: number; cacheHitRate: number; callsPerDay: number; costPerMonth: number };
  /** Empty where there is none. */
  uncertainty: string;
}

const dayMs = 86_400_000;
const daysAMonth = 30;
/** What is done once, such as making a key, is taken over at least this long: the first seconds say nothing about a day. */
const leastRateMs = 3_600_000;
/** By now keys in steady use were loaded again twice: from here on what was measured tells what another TTL would do. */
const leastTtls = 2;
const ttlFactors = [0.5, 1, 2];
const better = "What another TTL would cost is better told by the most.";
const looks: readonly string[] = ["describe", "inspect"];
/** FLUO's quickstart. */
const example = { requestsPerSecond: 1_000, missesPerSecond: 200 };

export function costOf(use: Use): Cost {
  const { prices, calls, ttlMs, providerKeys } = use;
  const perDay = (count: number, leastMs = leastRateMs) => (count * dayMs) / Math.max(use.uptimeMs, leastMs);
  // Goes on at the pace that it has once the TTL is over; before, there is none.
  const [refreshed, expired] = [use.loads.refreshed, use.loads.expired].map((count) =>
    perDay(count, Math.min(ttlMs, leastRateMs)),
  ) as [number, number];
  const again = use.loads.refreshed + use.loads.expired;
  const perDayOf = (counted: Iterable<readonly [string, number]>) =>
    perDay(sumOf([...counted]) - again) + refreshed + expired;
  const charged = perDayOf([...calls].filter(([operation]) => prices.charged === "all" || !looks.includes(operation)));
  const perMonth = (callsPerDay: number, keys = providerKeys) =>
    (callsPerDay * daysAMonth * prices.per10000Calls) / 10_000 + keys * prices.perKeyMonth;
  // Looks go on by the clock: what was seen of them in the first minutes is too few.
  const unseenLooks = Math.max(0, (providerKeys * dayMs) / use.checkMs - perDay(calls.get("describe") ?? 0));
  const others = charged - refreshed - expired + (prices.charged === "all" ? unseenLooks : 0);

  function projectionAt(factor: number): Projection {
    const callsPerDay = charged + refreshed * (1 / factor - 1);
    const inSteadyUse = others + (use.cachedKeys * dayMs) / (meanLife * ttlMs * factor);
    const mostCallsPerDay = Math.max(callsPerDay, inSteadyUse);
    return {
      ttlMs: ttlMs * factor,
      callsPerDay,
      costPerMonth: perMonth(callsPerDay),
      mostCallsPerDay,
      mostCostPerMonth: perMonth(mostCallsPerDay),
    };
  }

  const { requestsPerSecond, missesPerSecond } = example;
  const exampleCalls = missesPerSecond * (dayMs / 1_000);
  return {
    providerCallsPerDay: perDayOf(calls),
    chargedCallsPerDay: charged,
    costPerMonth: perMonth(charged),
    projections: ttlFactors.map(projectionAt),
    example: {
      requestsPerSecond,
      cacheHitRate: 1 - missesPerSecond / requestsPerSecond,
      callsPerDay: exampleCalls,
      costPerMonth: perMonth(exampleCalls, 1),
    },
    uncertainty: uncertaintyOf(use),
  };
}

function uncertaintyOf({ uptimeMs, ttlMs }: Use): string {
  if (uptimeMs < leastRateMs) {
    return `Up for less than an hour: all calls but those that load a key again are taken for an hour's. ${better}`;
  }
  if (uptimeMs >= leastTtls * ttlMs) return "";
  return `Up for less than twice kms.cache.ttl: first loads weigh too much, and loads of keys in use too little. ${better}`;
}

function sumOf(calls: readonly (readonly [string, number])[]): number {
  return calls.reduce((sum, [, count]) => sum + count, 0);
}
