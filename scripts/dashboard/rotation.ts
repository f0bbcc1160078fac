/** Rotation status: whether keys are replaced in time, and in which states they are. */
import { type Row, stat, timeSeries } from "./grafana.ts";
import { increase, max, query, series, sum } from "./promql.ts";

const day = 86_400;

export const rotationRow: Row = {
  id: 500,
  title: "Rotation status",
  panels: [
    timeSeries(501, "Oldest active key", {
      says: "Age in days of the oldest ACTIVE key. By default a key is due at 90 days, and overdue at 97.",
      runbook: "kms-rotation-overdue",
      width: 6,
      unit: "suffix: d",
      thresholds: ["text", [90, "orange"], [97, "red"]],
      queries: [query(`${max(series("kms_oldest_active_key_age_seconds"))} / ${day}`, "oldest")],
    }),
    timeSeries(502, "Rotations in an hour", {
      says: "Keys that were rotated in the last hour, and failures. Those of scope tenant are for the tenant to mend.",
      runbook: "key-rotation-failure",
      width: 6,
      unit: "none",
      colors: { rotated: "green", "failed, service": "red", "failed, tenant": "orange" },
      queries: [
        query(sum(increase("kms_rotation_success_total", "1h")), "rotated"),
        query(sum(increase("kms_rotation_failures_total", "1h"), "scope"), "failed, {{scope}}"),
      ],
    }),
    timeSeries(503, "Keys", {
      says: "Keys by purpose and state, and destructions that wait for a second caller.",
      runbook: "key-rotation-failure",
      width: 6,
      unit: "none",
      quietZeros: true,
      queries: [
        query(max(series("kms_keys"), "purpose", "state"), "{{purpose}} {{state}}"),
        query(max(series("kms_destruction_requests")), "destruction asked for"),
      ],
    }),
    stat(504, "Last rotation", {
      says: "Time of the last rotation of a key.",
      runbook: "kms-rotation-overdue",
      width: 3,
      unit: "dateTimeFromNow",
      names: { 0: { text: "never" } },
      queries: [query(`${max(series("kms_last_rotation_timestamp_seconds"))} * 1000`, "last")],
    }),
    stat(505, "Overdue keys", {
      says: "ACTIVE keys that are a week past the age at which they are due. Healthy is 0.",
      runbook: "kms-rotation-overdue",
      width: 3,
      unit: "none",
      thresholds: ["green", [1, "orange"]],
      queries: [query(max(series("kms_rotation_overdue_keys"), "scope"), "{{scope}}")],
    }),
  ],
};
