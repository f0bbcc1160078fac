/** Service: whether it is up, whether it keeps its objective, and what must be 0 or recent. */
import { type Row, stat, timeSeries } from "./grafana.ts";
import { avg, count, increase, max, min, query, rate, recorded, series, sum } from "./promql.ts";

/** Copies of one file that replicas have in force: 1 if all have the same. */
const copies = (info: string) => count(count(series(info), "sha256"));

/** Part of a life that is left, from 1 to 0, by the times of its beginning and its end. */
const lifeLeft = (what: string, begin: string) => {
  const end = series(`${what}_expiry_timestamp_seconds`);
  return `(${end} - time()) / (${end} - ${series(`${what}_${begin}_timestamp_seconds`)})`;
};

const milliseconds = (timestamp: string) => `${max(series(timestamp))} * 1000`;

export const serviceRow: Row = {
  id: 100,
  title: "Service",
  panels: [
    stat(101, "Ready", {
      says: "Share of the replicas that are ready.",
      runbook: "kms-not-ready",
      width: 4,
      unit: "percentunit",
      thresholds: ["red", [0.5, "orange"], [1, "green"]],
      queries: [query(avg(series("kms_ready")), "ready")],
    }),
    stat(102, "Versions", {
      says: "Replicas by version. Two versions are healthy only while an upgrade goes on.",
      runbook: "kms-two-versions",
      width: 4,
      unit: "none",
      queries: [query(count(series("kms_build_info"), "version"), "{{version}}")],
    }),
    stat(103, "Error budget used in 3 days", {
      says: "Part of the error budget of 30 days (0.1 % of calls) that the last 3 days used. Healthy is up to 10 %.",
      runbook: "kms-server-faults",
      width: 4,
      unit: "percentunit",
      thresholds: ["green", [0.1, "orange"], [1, "red"]],
      queries: [query(`${recorded("kms:server_fault:ratio_rate3d")} / 0.001 * 3 / 30`, "used")],
    }),
    stat(104, "Damage", {
      says: "Damage in the store that is known. Healthy is 0.",
      runbook: "kms-data-loss",
      width: 3,
      unit: "none",
      thresholds: ["green", [1, "red"]],
      queries: [query(max(series("kms_integrity_findings")), "findings")],
    }),
    stat(105, "Heads file", {
      says: "Whether the store is behind its heads file, or the file is gone.",
      runbook: "kms-heads-behind",
      width: 3,
      unit: "none",
      thresholds: ["green", [1, "red"]],
      names: { 0: { text: "in step" }, 1: { text: "behind" } },
      queries: [query(max(series("kms_heads_behind")), "heads")],
    }),
    stat(106, "Audit", {
      says: "Whether a replica cannot audit the uses of keys.",
      runbook: "kms-audit-fails",
      width: 3,
      unit: "none",
      thresholds: ["green", [1, "red"]],
      names: { 0: { text: "written" }, 1: { text: "fails" } },
      queries: [query(max(series("kms_audit_problem")), "audit")],
    }),
    stat(107, "Provider lies in a day", {
      says: "Lies in which a provider was caught in the last day, without tenants' own. Healthy is 0.",
      runbook: "kms-provider-untrusted",
      width: 3,
      unit: "none",
      thresholds: ["green", [0.5, "red"]],
      queries: [query(sum(increase("kms_provider_lies_total", "1d", 'scope="service"')), "lies")],
    }),
    stat(108, "Reloads", {
      says: "Whether a replica's last reload of a unit failed: the policy, the certificate or the tenants' file.",
      runbook: "kms-reload-failed",
      width: 6,
      unit: "none",
      thresholds: ["green", [1, "orange"]],
      names: { 0: { text: "in force" }, 1: { text: "failed" } },
      queries: [query(max(series("kms_reload_failed"), "unit"), "{{unit}}")],
    }),
    stat(109, "Policies and tenants' files in force", {
      says: "Different policies and tenants' files in force. Healthy is 1. The files have kms-tenant-keys-differ.md.",
      runbook: "kms-policy-differs",
      width: 6,
      unit: "none",
      thresholds: ["green", [2, "orange"]],
      queries: [query(copies("kms_policy_info"), "policies"), query(copies("kms_tenant_keys_info"), "tenants' files")],
    }),
    stat(110, "Authorities end in", {
      says: "Time until the first certificate authority of the policy ends. Replace it 30 days before.",
      runbook: "kms-certificate-expires",
      width: 4,
      unit: "s",
      thresholds: ["red", [30 * 86_400, "green"]],
      queries: [query(`${min(series("kms_authority_expiry_timestamp_seconds"))} - time()`, "authority")],
    }),
    stat(111, "Last backup", {
      says: "Time of the last backup that succeeded.",
      runbook: "kms-backup-too-old",
      width: 4,
      unit: "dateTimeFromNow",
      names: { 0: { text: "never", color: "orange" } },
      queries: [query(milliseconds("kms_backup_last_success_timestamp_seconds"), "backup")],
    }),
    stat(112, "Last check or restore drill", {
      says: "Time of the last check of the store, or of a restored backup, that found nothing.",
      runbook: "kms-restore-drill-too-old",
      width: 4,
      unit: "dateTimeFromNow",
      names: { 0: { text: "never", color: "orange" } },
      queries: [query(milliseconds("kms_check_last_success_timestamp_seconds"), "check")],
    }),
    timeSeries(113, "Replicas by health", {
      says: "Replicas by the health that they report.",
      runbook: "kms-replica-not-ready",
      width: 6,
      unit: "none",
      stacked: true,
      colors: { operational: "green", degraded: "orange", down: "red" },
      queries: [query(sum(series("kms_health"), "status"), "{{status}}")],
    }),
    timeSeries(114, "Calls by outcome", {
      says: "Calls a second. Server faults count against the objective; caller faults and ends of connections do not.",
      runbook: "kms-server-faults",
      width: 6,
      unit: "reqps",
      stacked: true,
      colors: { ok: "green", caller_fault: "yellow", server_fault: "red", lifecycle: "blue" },
      queries: [query(sum(rate("kms_calls_total"), "outcome"), "{{outcome}}")],
    }),
    timeSeries(115, "Server faults", {
      says: "Share of calls that failed by the service's fault, over several times. The lines are those of the alerts.",
      runbook: "kms-server-faults",
      width: 6,
      unit: "percentunit",
      thresholds: ["text", [0.001, "yellow"], [0.006, "orange"], [0.0144, "red"]],
      queries: ["5m", "30m", "1h", "6h", "3d"].map((window) =>
        query(recorded(`kms:server_fault:ratio_rate${window}`), window),
      ),
    }),
    timeSeries(116, "Life left of certificate and credentials", {
      says: "Part of their life that is left. A certificate is late below 20 %, a credential below 5 %.",
      runbook: "kms-certificate-expires",
      width: 6,
      unit: "percentunit",
      max: 1,
      thresholds: ["text", [0.05, "red"], [0.2, "red"]],
      queries: [
        query(min(lifeLeft("kms_tls_certificate", "not_before")), "certificate"),
        query(min(lifeLeft("kms_provider_credential", "since"), "name"), "credential, {{name}}"),
      ],
    }),
  ],
};
