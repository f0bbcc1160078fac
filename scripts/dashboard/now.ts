/** Now: whether callers are hurt at this moment, and which alerts say so. */
import { runbooksByAlert } from "./alerts.ts";
import { type Row, stat } from "./grafana.ts";
import { objectiveMethods } from "./latency.ts";
import { count, max, query, rate, recorded, series, sum } from "./promql.ts";

const storeCalls = "kms_store_seconds_count";
const latency = sum(rate("rpc_server_call_duration_seconds_bucket", objectiveMethods), "le");

export const nowRow: Row = {
  id: 700,
  title: "Now",
  panels: [
    stat(701, "Calls a second", {
      says: "Calls a second that ended, of all methods. None at all may mean that callers do not reach the service.",
      runbook: "kms-gone",
      width: 4,
      unit: "reqps",
      thresholds: ["orange", [0.001, "green"]],
      queries: [query(sum(rate("kms_calls_total")), "calls")],
    }),
    stat(702, "Server faults", {
      says: "Share of the calls of the last 5 minutes that failed by the service's fault. The objective is 0.1 %.",
      runbook: "kms-server-faults",
      width: 4,
      unit: "percentunit",
      thresholds: ["green", [0.001, "orange"], [0.0144, "red"]],
      queries: [query(recorded("kms:server_fault:ratio_rate5m"), "faults")],
    }),
    stat(703, "p99", {
      says: "99 % of the calls that use a key took at most this long. The objective is 0.1 s.",
      runbook: "kms-slow",
      width: 4,
      unit: "s",
      thresholds: ["green", [0.1, "orange"], [1, "red"]],
      queries: [query(`histogram_quantile(0.99, ${latency})`, "p99")],
    }),
    stat(704, "Provider", {
      says: "Provider keys of the service that do not answer, or that it may not use. Healthy is 0.",
      runbook: "kms-provider-unreachable",
      width: 4,
      unit: "none",
      thresholds: ["green", [1, "red"]],
      names: { 0: { text: "none" } },
      queries: [
        query(
          max(series("kms_provider_keys", 'scope="service"', 'condition!="answering"'), "condition"),
          "{{condition}}",
        ),
      ],
    }),
    stat(705, "Store", {
      says: "Share of the operations of the store that fail, and 100 % while uses of keys cannot be audited. Healthy is 0.",
      runbook: "kms-audit-fails",
      width: 4,
      unit: "percentunit",
      thresholds: ["green", [0.001, "orange"], [0.05, "red"]],
      queries: [
        query(`1 - ${sum(rate(storeCalls, 'outcome=~"ok|conflict"'))} / ${sum(rate(storeCalls))}`, "failed"),
        query(max(series("kms_audit_problem")), "not audited"),
      ],
    }),
    stat(706, "Alerts that fire", {
      says: "Alerts of this service that fire, by Prometheus. Each leads to its runbook.",
      runbook: "kms-not-ready",
      width: 4,
      unit: "none",
      thresholds: ["green", [1, "red"]],
      noValue: "none",
      links: runbooksByAlert(),
      queries: [
        query(
          count(recorded("ALERTS", 'alertname=~"Kms.+"', 'alertstate="firing"'), "severity", "alertname"),
          "{{alertname}} {{severity}}",
        ),
      ],
    }),
  ],
};
