/** Process and queues: what is short, and how far background work is behind. */
import { type Row, timeSeries } from "./grafana.ts";
import { max, perReplica, query, rate, series, sum } from "./promql.ts";

/** Used part of a limit, from 0 to 1. */
const share = (used: string, limit: string) => `${series(used)} / ${series(limit)}`;

/** Time that one waits on each replica: how many wait, by how many a second are done. */
const waits = (queue: string, done: string) =>
  `${max(series(queue), "instance")} / (${sum(rate(done), "instance")} > 0)`;

export const processRow: Row = {
  id: 600,
  title: "Process and queues",
  panels: [
    timeSeries(601, "Event loop lag, p99", {
      says: "Delay of the event loop in the last 15 to 30 s: the five worst replicas. Healthy is less than 0.2 s.",
      runbook: "kms-saturated",
      width: 8,
      unit: "s",
      thresholds: ["text", [0.2, "orange"]],
      queries: perReplica(series("nodejs_eventloop_lag_seconds", 'percentile="99"')),
    }),
    timeSeries(602, "Event loop utilization", {
      says: "Share of its time that the event loop works: the five busiest replicas. Below 20 % it is the machine that is late.",
      runbook: "kms-saturated",
      width: 8,
      unit: "percentunit",
      max: 1,
      queries: perReplica(series("nodejs_eventloop_utilization")),
    }),
    timeSeries(603, "Memory against its limit", {
      says: "Resident memory by the limit of the cgroup: the five fullest replicas. Healthy is less than 85 %.",
      runbook: "kms-saturated",
      width: 8,
      unit: "percentunit",
      max: 1,
      thresholds: ["text", [0.85, "orange"]],
      queries: perReplica(share("process_resident_memory_bytes", "kms_memory_limit_bytes")),
    }),
    timeSeries(604, "Descriptors against their limit", {
      says: "Open file descriptors by their limit: the five fullest replicas. Healthy is less than 80 %.",
      runbook: "kms-saturated",
      width: 8,
      unit: "percentunit",
      max: 1,
      thresholds: ["text", [0.8, "orange"]],
      queries: perReplica(share("process_open_fds", "process_max_fds")),
    }),
    timeSeries(605, "Bytes of requests against their limit", {
      says: "Bytes of requests in memory by the limit of all: the five fullest replicas. Healthy is less than 80 %.",
      runbook: "kms-saturated",
      width: 8,
      unit: "percentunit",
      max: 1,
      thresholds: ["text", [0.8, "orange"]],
      queries: perReplica(share("kms_requests_held_bytes", "kms_requests_held_max_bytes")),
    }),
    timeSeries(606, "Disk of the store", {
      says: "Share of a SQLite store's file system that is in use. Healthy is less than 85 %.",
      runbook: "kms-saturated",
      width: 8,
      unit: "percentunit",
      max: 1,
      thresholds: ["text", [0.85, "orange"]],
      queries: [query(max(`1 - ${share("kms_store_free_bytes", "kms_store_volume_bytes")}`), "used")],
    }),
    timeSeries(607, "Queues", {
      says: "Work that waits or is under way, on the replica with most: at the store, in the pool, at providers.",
      runbook: "kms-saturated",
      width: 8,
      unit: "none",
      queries: [
        query(max(series("kms_store_queue")), "wait for the store"),
        query(max(series("kms_pool_queue")), "batches in the pool"),
        query(max(series("kms_provider_in_flight")), "at the providers"),
      ],
    }),
    timeSeries(615, "Waits for a pool", {
      says: "Seconds that a call waits for the store, and a batch is in the threads, on the replica that is worst off.",
      runbook: "kms-saturated",
      width: 8,
      unit: "s",
      thresholds: ["text", [0.1, "orange"]],
      queries: [
        query(max(waits("kms_store_queue", "kms_store_seconds_count")), "for the store"),
        query(max(waits("kms_pool_queue", "kms_batch_seconds_count")), "batches"),
      ],
    }),
    timeSeries(608, "Connections and streams", {
      says: "Open connections by protocol and state, and open streams, of all replicas.",
      runbook: "kms-saturated",
      width: 8,
      unit: "none",
      queries: [
        query(sum(series("kms_connections"), "protocol", "state"), "{{protocol}}, {{state}}"),
        query(sum(series("kms_streams")), "streams"),
      ],
    }),
    timeSeries(609, "Connections to PostgreSQL", {
      says: "Connections of all replicas, and the most that they may have.",
      runbook: "kms-saturated",
      width: 8,
      unit: "none",
      queries: [query(sum(series("kms_postgres_connections"), "state"), "{{state}}")],
    }),
    timeSeries(610, "Limits", {
      says: "How often a limit of calls made somebody wait, and a limit of connections closed one, a second.",
      runbook: "kms-saturated",
      width: 8,
      unit: "ops",
      quietZeros: true,
      queries: [
        query(sum(rate("kms_limited_total"), "limit"), "calls, {{limit}}"),
        query(sum(rate("kms_connections_closed_total"), "limit"), "connections, {{limit}}"),
      ],
    }),
    timeSeries(611, "Clock difference", {
      says: "Difference to a second clock, of the replica that is farthest off. Healthy is less than 60 s.",
      runbook: "kms-saturated",
      width: 8,
      unit: "s",
      thresholds: ["text", [60, "orange"]],
      queries: [query(max(series("kms_clock_difference_seconds")), "difference")],
    }),
    timeSeries(612, "Audit rows not written", {
      says: "Age of the oldest use whose audit row is not durable. Healthy is less than 1 s.",
      runbook: "kms-audit-fails",
      width: 8,
      unit: "s",
      thresholds: ["text", [1, "red"]],
      queries: [query(max(series("kms_audit_unwritten_seconds")), "unwritten")],
    }),
    timeSeries(613, "Age of the heads file", {
      says: "Time since the heads file was as the store is. Healthy is less than 60 s.",
      runbook: "kms-heads-behind",
      width: 12,
      unit: "s",
      thresholds: ["text", [60, "orange"]],
      queries: [query(max(series("kms_heads_age_seconds")), "age")],
    }),
    timeSeries(614, "Age of the last integrity pass", {
      says: "Days since the store was wholly examined, as far as each replica knows. Healthy is less than 9.",
      runbook: "kms-saturated",
      width: 12,
      unit: "suffix: d",
      thresholds: ["text", [9, "orange"]],
      queries: perReplica(`${series("kms_integrity_pass_age_seconds")} / 86400`),
    }),
  ],
};
