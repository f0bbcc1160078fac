/**
 * What strangers may cost, by the network of their address: a connection that is closed comes back as another, and an address does not. A network
 * that is over a budget is shut to new connections until it is not. Callers with a grant are not judged by it.
 */
import { type KeyedBuckets, keyedBuckets } from "../../limits/keyed-buckets.ts";
import { type Monotonic, type Rate, rateOf } from "../../limits/token-bucket.ts";

export type AddressBudget = "resets" | "header_work";

export interface AddressBudgets {
  /** Takes from a budget: resets, or milliseconds of CPU. */
  take(network: string, budget: AddressBudget, units: number): void;
  /** The budget that a network is over; undefined where it is over none. */
  overrun(network: string): AddressBudget | undefined;
}

/** Resets that may come at once, in seconds of the rate. */
const resetBurstSeconds = 5;
/** A network is shut for so long at most, once it costs no more. */
const debtMs = 10_000;
/** Time over which work is counted. */
const workSeconds = 10;
/** A setting may be so small that it leaves strangers nothing, and still no caller is closed for what it must send. */
const leastOwnWorkMs = 1_000;
/** Part of it that may come at once: half a megabyte, as a connection that is read at all may be read up to 2 MB at a time. */
const ownWorkAtOnce = 0.25;

export interface AddressBudgetSettings {
  resetsPerSecond: number;
  headerWorkMs: number;
}

/** Resets that a network of strangers, and a connection with a caller, may have. */
export function resetRate({ resetsPerSecond }: Pick<AddressBudgetSettings, "resetsPerSecond">): Rate {
  return rateOf(resetsPerSecond, resetBurstSeconds * resetsPerSecond);
}

/** Milliseconds of CPU that a caller's connection may cost beside its calls. A call that is honest needs none of it, so little may come at once. */
export function workRate({ headerWorkMs }: Pick<AddressBudgetSettings, "headerWorkMs">): Rate {
  const most = Math.max(headerWorkMs, leastOwnWorkMs);
  return rateOf(most / workSeconds, most * ownWorkAtOnce);
}

/** Charges to a network for one of its connections that overran a budget of its own. */
export function wholeBudgets({ resetsPerSecond, headerWorkMs }: AddressBudgetSettings): Record<AddressBudget, number> {
  return { resets: resetRate({ resetsPerSecond }).burst, header_work: headerWorkMs };
}

export function addressBudgets(
  { resetsPerSecond, headerWorkMs }: AddressBudgetSettings,
  now: Monotonic,
): AddressBudgets {
  const budgets: Record<AddressBudget, KeyedBuckets> = {
    resets: keyedBuckets(resetRate({ resetsPerSecond }), { now, debtMs }),
    header_work: keyedBuckets(rateOf(headerWorkMs / workSeconds, headerWorkMs), { now, debtMs }),
  };
  const names = Object.keys(budgets) as AddressBudget[];
  return {
    take: (network, budget, units) => budgets[budget].of(network).take(units),
    overrun: (network) => names.find((name) => budgets[name].waitMs(network) > 0),
  };
}
