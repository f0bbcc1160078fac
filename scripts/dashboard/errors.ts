/** Error rate: calls that fail, and whether the providers answer. */
import { type Row, stateTimeline, timeSeries } from "./grafana.ts";
import { max, query, rate, series, sum } from "./promql.ts";

export const errorsRow: Row = {
  id: 400,
  title: "Error rate",
  panels: [
    timeSeries(401, "Errors by code", {
      says: "Calls that failed a second, by gRPC status.",
      runbook: "kms-server-faults",
      width: 6,
      unit: "reqps",
      quietZeros: true,
      queries: [query(sum(rate("kms_errors_total"), "code"), "{{code}}")],
    }),
    timeSeries(402, "Errors by operation", {
      says: "Calls that failed a second, by method.",
      runbook: "kms-server-faults",
      width: 6,
      unit: "reqps",
      quietZeros: true,
      queries: [query(sum(rate("kms_errors_total"), "operation"), "{{operation}}")],
    }),
    stateTimeline(403, "Circuit breakers", {
      says: "Whether calls to a provider are tried, by the worst replica. Tenants' own keys show as one, the worst.",
      runbook: "kms-provider-unreachable",
      width: 6,
      unit: "none",
      names: {
        0: { text: "closed", color: "green" },
        1: { text: "open", color: "red" },
        2: { text: "half-open", color: "orange" },
      },
      queries: [query(max(series("circuit_breaker_state"), "scope", "name"), "{{scope}} {{name}}")],
    }),
    timeSeries(404, "Provider keys", {
      says: "Provider keys by condition: the service's own, and those of tenants, who may disable theirs.",
      runbook: "kms-provider-key-denied",
      width: 6,
      unit: "none",
      quietZeros: true,
      queries: [query(max(series("kms_provider_keys"), "condition", "scope"), "{{condition}}, {{scope}}")],
    }),
  ],
};
