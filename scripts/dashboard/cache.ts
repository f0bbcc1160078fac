/** Cache hit rate: whether keys are in memory when they are asked for. */
import { type Row, timeSeries } from "./grafana.ts";
import { max, query, rate, series, sum } from "./promql.ts";

const hits = sum(rate("kms_cache_hit_total"), "key_type");
const misses = sum(rate("kms_cache_miss_total"), "key_type");

export const cacheRow: Row = {
  id: 200,
  title: "Cache hit rate",
  panels: [
    timeSeries(201, "Cache hit rate", {
      says: "Share of key lookups that were answered from memory, by cache. Healthy is more than 90 %.",
      runbook: "kms-cache-hit-rate-low",
      width: 6,
      unit: "percentunit",
      max: 1,
      thresholds: ["text", [0.9, "orange"]],
      queries: [query(`${hits} / (${hits} + ${misses})`, "{{key_type}}")],
    }),
    timeSeries(202, "Keys in memory", {
      says: "Keys in each cache of the fullest replica. A cache that stays at kms.cache.max-entries is too small.",
      runbook: "kms-cache-hit-rate-low",
      width: 6,
      unit: "none",
      queries: [query(max(series("kms_cache_size"), "key_type"), "{{key_type}}")],
    }),
    timeSeries(203, "Loads and evictions", {
      says: "Keys loaded a second by reason, and keys evicted for space.",
      runbook: "kms-cache-hit-rate-low",
      width: 6,
      unit: "ops",
      queries: [
        query(sum(rate("kms_cache_loads_total"), "reason"), "{{reason}}"),
        query(sum(rate("kms_cache_evictions_total")), "evicted"),
      ],
    }),
    timeSeries(204, "Keys in use past their TTL", {
      says: "Keys that are served past their TTL, because their provider key does not answer. Healthy is 0.",
      runbook: "kms-provider-unreachable",
      width: 6,
      unit: "none",
      queries: [query(sum(series("kms_cache_stale"), "key_type"), "{{key_type}}")],
    }),
  ],
};
