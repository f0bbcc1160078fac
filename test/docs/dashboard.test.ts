/** The dashboard against the script that makes it, the metrics' page, the recording rules and the runbooks. */
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { chartCopies, dashboard, dashboardFile, mayBeEmpty } from "../../scripts/dashboard/dashboard.ts";
import { namesIn, rowsOf } from "./tables.ts";

const root = join(import.meta.dirname, "..", "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

interface Panel {
  id: number;
  title: string;
  type: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { refId: string; expr: string; legendFormat: string }[];
}

const { panels } = JSON.parse(read(dashboardFile)) as { panels: Panel[] };
const shown = panels.filter(({ type }) => type !== "row");
const exprs = shown.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

/** Metrics that describe the store: each replica exports the same, and a sum would count it once a replica. */
const ofTheStore = [
  "kms_integrity_findings",
  "kms_destructions_waiting",
  "kms_destruction_requests",
  "kms_rotation_overdue_keys",
  "kms_provider_keys",
  "kms_keys",
  "kms_oldest_active_key_age_seconds",
  "kms_last_rotation_timestamp_seconds",
  "kms_backup_last_success_timestamp_seconds",
  "kms_check_last_success_timestamp_seconds",
];

/** Names of metrics and rules in a query: what is left without labels, times, numbers and PromQL's own words. */
function metricsIn(expr: string): string[] {
  const bare = expr.replaceAll(
    /\{[^}]*\}|\[[^\]]*\]|\b(by|without|on|ignoring|group_left|group_right) \([^)]*\)/g,
    " ",
  );
  const words = bare.matchAll(/(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])/g);
  return [...words].map(([name]) => name).filter((name) => !operators.has(name));
}

const operators = new Set(["and", "or", "unless", "offset", "bool", "sum", "max", "min", "avg", "count", "topk"]);

/** Queries that take a metric of the store otherwise than by `max` directly around its series, or add it up. */
function storeTotals(queries: readonly string[]): string[] {
  return queries.filter((expr) =>
    ofTheStore.some((metric) => {
      const uses = expr.match(new RegExp(`\\b${metric}\\b`, "g"))?.length ?? 0;
      const largest = expr.match(new RegExp(`max by \\([^)]*\\) \\(${metric}\\{[^}]*\\}\\)`, "g"))?.length ?? 0;
      return uses !== largest || (uses > 0 && /\bsum\b/.test(expr));
    }),
  );
}

/** Series that Prometheus itself makes of rules that fire. They are of whole services. */
const ofPrometheus = ["ALERTS"];

/** Queries that aggregate over several services. */
function mixed(queries: readonly string[]): string[] {
  const open =
    /\b(sum|max|min|avg|count|group|quantile|stddev|bottomk|count_values)\b(?! by \(cluster, namespace, job\b)/;
  return queries.filter((expr) => open.test(expr.replaceAll(/\{[^}]*\}/g, "")));
}

function overlaps({ gridPos: a }: Panel, { gridPos: b }: Panel): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

it("the dashboard is the one that scripts/dashboard.ts makes", () => {
  expect(JSON.parse(read(dashboardFile))).toEqual(JSON.parse(JSON.stringify(dashboard)));
});

it.each(Object.entries(chartCopies))("%s is what the chart carries, in a file and no link", (file, copy) => {
  expect(read(copy) === read(file), "run node scripts/dashboard.ts").toBe(true);
  expect(lstatSync(join(root, copy)).isFile()).toBe(true);
});

describe("the panels", () => {
  it("have an identity of their own", () => {
    const ids = panels.map(({ id }) => id);
    expect(ids.filter((id, at) => ids.indexOf(id) !== at)).toEqual([]);
  });

  it("lie in 24 columns, none over another", () => {
    expect(panels.filter(({ gridPos: { x, w } }) => x < 0 || x + w > 24)).toEqual([]);
    const pairs = panels.flatMap((a, at) => panels.slice(at + 1).map((b) => [a, b] as const));
    expect(pairs.filter(([a, b]) => overlaps(a, b)).map(([a, b]) => `${a.title} over ${b.title}`)).toEqual([]);
    const [heading, first] = panels as [Panel, Panel];
    expect(overlaps(heading, first)).toBe(false);
    expect(overlaps(first, { ...first, gridPos: { ...first.gridPos, x: first.gridPos.w - 1 } })).toBe(true);
  });

  it("end their description with a runbook that exists", () => {
    const named = shown.map(({ title, description }) => ({
      title,
      runbook: /\. Runbook: (docs\/runbooks\/[a-z-]+\.md)$/.exec(description ?? "")?.[1],
    }));
    expect(named.filter(({ runbook }) => runbook === undefined)).toEqual([]);
    const runbooks = new Set(named.map(({ runbook }) => runbook!));
    expect([...runbooks].filter((runbook) => !existsSync(join(root, runbook)))).toEqual([]);
  });
});

describe("the queries", () => {
  it("name metrics of docs/METRICS.md and recording rules alone", () => {
    const metrics = rowsOf(read("docs/METRICS.md"), "name").map(([name]) => namesIn(name!)[0]!);
    const { groups } = parse(read("monitoring/prometheus/kms-alerts.yaml")) as { groups: { rules: object[] }[] };
    const rules = groups.flatMap(({ rules }) => rules).flatMap((rule) => ("record" in rule ? [rule.record] : []));
    const known = new Set<unknown>([...metrics, ...rules, ...ofPrometheus]);
    const used = new Set(exprs.flatMap(metricsIn));
    expect([...used].filter((name) => !known.has(name) && !known.has(withoutSuffix(name)))).toEqual([]);
  });

  it("are read for their metrics", () => {
    expect(metricsIn('histogram_quantile(0.99, sum by (le, a) (rate(x_bucket{job=~"b", le="0.1"}[5m])))')).toEqual([
      "x_bucket",
    ]);
    expect(metricsIn('topk(5, 1 - a{b="c"} / d) or k:r:rate5m{} and up - time()')).toEqual([
      "a",
      "d",
      "k:r:rate5m",
      "up",
    ]);
    expect(exprs.filter((expr) => metricsIn(expr).length === 0)).toEqual([]);
  });

  it("take the largest of what describes the store, and no sum", () => {
    expect(storeTotals(exprs)).toEqual([]);
    expect(
      storeTotals([
        "sum by (job) (kms_keys{})",
        "max by (job) (kms_keys{}) + kms_keys{}",
        "sum(max by (a) (kms_keys{}))",
      ]),
    ).toHaveLength(3);
  });

  it("aggregate one service at a time", () => {
    expect(mixed(exprs)).toEqual([]);
    expect(mixed(["sum by (job) (a)", "max(a)", "sum by (cluster, namespace, job) (count(a))"])).toHaveLength(3);
  });

  it("filter by every variable, or by those of a service", () => {
    const filter =
      /^cluster=~"\$cluster", namespace=~"\$namespace", job=~"\$job"(, instance=~"\$instance"|, alertname|$)/;
    const selectors = exprs.flatMap((expr) => [...expr.matchAll(/(\S+)\{([^}]*)\}/g)]);
    expect(selectors.filter(([, , labels]) => !filter.test(labels!))).toEqual([]);
    const isOfRules = (name: string) => name.includes(":") || ofPrometheus.some((made) => name.endsWith(made));
    const whole = selectors.filter(([, name, labels]) => !isOfRules(name!) && !labels!.includes("$instance"));
    expect(whole).toEqual([]);
  });

  it("that may find nothing are of a metric that some query has", () => {
    expect(Object.keys(mayBeEmpty).filter((metric) => !exprs.some((expr) => metricsIn(expr).includes(metric)))).toEqual(
      [],
    );
  });
});

/** The name of a histogram by that of one of its series. */
function withoutSuffix(name: string): string {
  return name.replace(/_(bucket|count|sum)$/, "");
}
