/** The dashboard for operators: its variables and its rows. */
import { annotations } from "./annotations.ts";
import { cacheRow } from "./cache.ts";
import { errorsRow } from "./errors.ts";
import { datasource, placed } from "./grafana.ts";
import { latencyRow } from "./latency.ts";
import { nowRow } from "./now.ts";
import { processRow } from "./process.ts";
import { rotationRow } from "./rotation.ts";
import { serviceRow } from "./service.ts";

/** Its committed file, relative to the repository. */
export const dashboardFile = "monitoring/grafana/dashboards/kms-operations.json";
export const alertsFile = "monitoring/prometheus/kms-alerts.yaml";

/** The Helm chart carries both as files of its own. */
export const chartCopies = {
  [dashboardFile]: "deploy/helm/fluo-kms/files/kms-operations.json",
  [alertsFile]: "deploy/helm/fluo-kms/files/kms-alerts.yaml",
} as const;

/**
 * Metrics that a healthy service may not export, and why. A query of one of them may find nothing; any other query must
 * find a series once the service was used.
 */
export const mayBeEmpty: Readonly<Record<string, string>> = {
  kms_policy_info: "callers are not authenticated",
  kms_authority_expiry_timestamp_seconds: "the policy names no certificate authority",
  kms_tls_certificate_expiry_timestamp_seconds: "TLS is off",
  kms_provider_credential_expiry_timestamp_seconds: "the provider's credential has no known end",
  kms_store_free_bytes: "the store is no SQLite file",
  kms_postgres_connections: "the store is not PostgreSQL",
  kms_clock_difference_seconds: "there is no second clock",
  kms_heads_age_seconds: "no heads file is kept",
  ALERTS: "no alert fires",
  process_open_fds: "the system does not count descriptors: it is not Linux",
};

const runbooks = "https://github.com/fluo-dev/fluo-kms/blob/main/docs/KMS_TROUBLESHOOTING.md#runbooks";

/** A variable with the values of a label, of which all, several or one are chosen. */
function variable(name: string, query: string) {
  return {
    name,
    label: name,
    type: "query",
    datasource,
    query,
    definition: query,
    // `allValue` matches a series without the label, too: a small installation has no cluster.
    multi: true,
    includeAll: true,
    allValue: ".*",
    current: { text: ["All"], value: ["$__all"] },
    refresh: 2,
    sort: 1,
    regex: "",
    hide: 0,
  };
}

export const dashboard = {
  uid: "fluo-kms-operations",
  title: "KMS operations",
  description: "The key service. Made by scripts/dashboard.ts.",
  tags: ["fluo", "kms"],
  schemaVersion: 39,
  version: 1,
  editable: true,
  graphTooltip: 1,
  refresh: "30s",
  timezone: "utc",
  time: { from: "now-6h", to: "now" },
  annotations: { list: annotations },
  links: [{ type: "link", title: "Runbooks", url: runbooks, icon: "doc", targetBlank: true }],
  templating: {
    list: [
      { name: "datasource", label: "data source", type: "datasource", query: "prometheus", regex: "", hide: 0 },
      variable("cluster", "label_values(kms_ready, cluster)"),
      variable("namespace", 'label_values(kms_ready{cluster=~"$cluster"}, namespace)'),
      variable("job", 'label_values(kms_ready{cluster=~"$cluster", namespace=~"$namespace"}, job)'),
      variable(
        "instance",
        'label_values(kms_ready{cluster=~"$cluster", namespace=~"$namespace", job=~"$job"}, instance)',
      ),
    ],
  },
  panels: placed([nowRow, serviceRow, cacheRow, latencyRow, errorsRow, rotationRow, processRow]),
};
