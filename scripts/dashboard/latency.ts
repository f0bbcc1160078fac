/** Operation latency: how long calls take, and what they wait for. */
import { type Row, timeSeries } from "./grafana.ts";
import { quantile, query, rate, sum } from "./promql.ts";

const calls = "rpc_server_call_duration_seconds";

/** The methods that the latency objective is about. */
export const objectiveMethods =
  'rpc_method=~"SignSpan|VerifySpan|EncryptPii|DecryptPii|GenerateDataKey|DecryptDataKey"';

const objective = [objectiveMethods, 'rpc_response_status_code="OK"'];

const callsAt = (q: number) => [
  query(quantile(q, calls, "rpc_method"), "{{rpc_method}}"),
  query(quantile(q, "kms_batch_seconds", "mode"), "batch, {{mode}}"),
];

export const latencyRow: Row = {
  id: 300,
  title: "Operation latency",
  panels: [
    timeSeries(301, "Calls, p50", {
      says: "Half of the calls of a method took at most this long; likewise the batches of streams.",
      runbook: "kms-slow",
      width: 8,
      unit: "s",
      queries: callsAt(0.5),
    }),
    timeSeries(302, "Calls, p99", {
      says: "99 % of the calls of a method took at most this long; likewise the batches of streams.",
      runbook: "kms-slow",
      width: 8,
      unit: "s",
      queries: callsAt(0.99),
    }),
    timeSeries(303, "Calls within 0.1 s", {
      says: "Share of the calls of the latency objective that took at most 0.1 s. The objective is 99 %.",
      runbook: "kms-slow",
      width: 8,
      unit: "percentunit",
      max: 1,
      thresholds: ["text", [0.99, "orange"]],
      queries: [
        query(
          `${sum(rate(`${calls}_bucket`, 'le="0.1"', ...objective))} / ${sum(rate(`${calls}_count`, ...objective))}`,
          "within 0.1 s",
        ),
      ],
    }),
    timeSeries(304, "Provider calls, p99", {
      says: "99 % of the calls to the provider took at most this long, with their retries.",
      runbook: "kms-provider-unreachable",
      width: 8,
      unit: "s",
      queries: [query(quantile(0.99, "kms_provider_call_seconds", "operation"), "{{operation}}")],
    }),
    timeSeries(305, "Store, p99", {
      says: "99 % of the operations of the store took at most this long.",
      runbook: "kms-slow",
      width: 8,
      unit: "s",
      queries: [query(quantile(0.99, "kms_store_seconds", "operation"), "{{operation}}")],
    }),
    timeSeries(306, "Spans signed", {
      says: "Spans signed a second: one by one, or in the log of a tenant.",
      runbook: "kms-slow",
      width: 8,
      unit: "ops",
      stacked: true,
      queries: [query(sum(rate("kms_spans_signed_total"), "mode"), "{{mode}}")],
    }),
  ],
};
