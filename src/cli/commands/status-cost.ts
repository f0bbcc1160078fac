/** What `status` prints of cost: calls, what they and the provider keys cost, and what they would at another TTL. */
import { countsText } from "../print.ts";

export interface CostStatus {
  provider_calls: Record<string, number>;
  provider_calls_per_day: number;
  /** An older service sends nothing of what follows. */
  charged_calls_per_day?: number;
  provider_keys?: number;
  cost_per_month?: number;
  prices?: { per_10000_calls: number; per_key_month: number; currency: string; charged: string };
  key_loads?: Record<string, number>;
  projections?: {
    ttl_seconds: number;
    calls_per_day: number;
    cost_per_month: number;
    most_calls_per_day: number;
    most_cost_per_month: number;
  }[];
  example?: { requests_per_second: number; cache_hit_rate: number; calls_per_day: number; cost_per_month: number };
  uncertainty?: string;
}

export function costRows(cost: CostStatus): string[][] {
  const { prices, key_loads, projections = [], example, uncertainty } = cost;
  const calls = [["provider calls", `${countsText(cost.provider_calls)}; ${cost.provider_calls_per_day} a day`]];
  if (prices === undefined) return calls;
  const money = (amount: number) => `${grouped(amount, 2)} ${prices.currency}`;
  const monthly = (perDay: number, perMonth: number) => `${grouped(perDay)} calls a day, ${money(perMonth)} a month`;
  return [
    ...calls,
    ...(key_loads ? [["keys loaded", countsText(key_loads)]] : []),
    ["cost", `${money(cost.cost_per_month ?? 0)} a month: ${pricedText(cost, prices)}`],
    ...projections.map((at) => [
      `at TTL ${at.ttl_seconds} s`,
      `${monthly(at.calls_per_day, at.cost_per_month)}; at most ${monthly(at.most_calls_per_day, at.most_cost_per_month)}`,
    ]),
    ...(example
      ? [["example", `${monthly(example.calls_per_day, example.cost_per_month)}: ${exampleText(example)}`]]
      : []),
    ...(uncertainty ? [["cost is rough", uncertainty]] : []),
  ];
}

function pricedText(cost: CostStatus, prices: NonNullable<CostStatus["prices"]>): string {
  const { charged_calls_per_day = 0, provider_keys = 0 } = cost;
  const kind = prices.charged === "all" ? "calls" : `${prices.charged} calls`;
  const keys = `${provider_keys} provider key${provider_keys === 1 ? "" : "s"} at ${prices.per_key_month}`;
  return `${grouped(charged_calls_per_day)} ${kind} a day at ${prices.per_10000_calls} per 10,000, ${keys}`;
}

function exampleText({ requests_per_second, cache_hit_rate }: NonNullable<CostStatus["example"]>): string {
  return `a cache that answers ${Math.round(cache_hit_rate * 100)} % of ${grouped(requests_per_second)} requests a second`;
}

function grouped(value: number, digits = 0): string {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
