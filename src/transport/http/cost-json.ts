/** What Status says of cost, as JSON. Calls are whole, and money has four digits after the point: a hundredth of a cent. */
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { CostProjection, CostStatus } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";

export function costJson(cost: CostStatus) {
  const { prices, example, keyLoads: loads } = cost;
  return {
    provider_calls: Object.fromEntries(
      Object.entries(cost.providerCalls).map(([name, count]) => [name, Number(count)]),
    ),
    provider_calls_per_day: Math.round(cost.providerCallsPerDay),
    charged_calls_per_day: Math.round(cost.chargedCallsPerDay),
    provider_keys: cost.providerKeys,
    cost_per_month: money(cost.costPerMonth),
    prices: prices && {
      per_10000_calls: prices.perTenThousandCalls,
      per_key_month: prices.perKeyMonth,
      currency: prices.currency,
      charged: prices.charged,
    },
    key_loads: loads && {
      first: Number(loads.first),
      refreshed: Number(loads.refreshed),
      expired: Number(loads.expired),
      doubted: Number(loads.doubted),
    },
    projections: cost.projections.map(projectionJson),
    example: example && {
      requests_per_second: example.requestsPerSecond,
      cache_hit_rate: example.cacheHitRate,
      calls_per_day: Math.round(example.callsPerDay),
      cost_per_month: money(example.costPerMonth),
    },
    uncertainty: cost.uncertainty,
  };
}

function projectionJson(projection: CostProjection) {
  return {
    ttl_seconds: projection.ttl ? durationMs(projection.ttl) / 1000 : 0,
    calls_per_day: Math.round(projection.callsPerDay),
    cost_per_month: money(projection.costPerMonth),
    most_calls_per_day: Math.round(projection.mostCallsPerDay),
    most_cost_per_month: money(projection.mostCostPerMonth),
  };
}

function money(amount: number): number {
  return Math.round(amount * 10_000) / 10_000;
}
