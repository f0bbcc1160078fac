/** Alerts against their runbooks, docs/METRICS.md and their cases, without Prometheus: promtool runs the cases. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type AlertRule, alertsOf, metricsOf, readRules, recordsOf, rulesPath } from "../monitoring/alert-rules.ts";
import { readConfig } from "../monitoring/alertmanager.ts";
import { durationMs, fastRules } from "../monitoring/fast-rules.ts";
import { namesIn, rowsOf } from "./tables.ts";

interface Case {
  name: string;
  input_series: { series: string }[];
  alert_rule_test: { alertname: string; exp_alerts?: { exp_labels: Record<string, string> }[] }[];
}

const docs = join(import.meta.dirname, "..", "..", "docs");
const rules = readRules();
const records = recordsOf(rules);
const alerts = alertsOf(rules);
const labelled = alerts.map((rule): [string, AlertRule] => [titleOf(rule), rule]);
const { tests: cases } = parse(readFileSync(join(dirname(rulesPath), "kms-alerts.test.yaml"), "utf8")) as {
  tests: Case[];
};

/** Rules of one name differ in a label: one of their own, or the severity. */
function titleOf({ alert, labels }: AlertRule): string {
  return [alert, ...Object.values(labels)].join(" ");
}

const runbookUrl = /^https:\/\/github\.com\/fluo-dev\/fluo-kms\/blob\/main\/docs\/runbooks\/([a-z-]+\.md)$/;
const runbookOf = ({ annotations }: AlertRule) => runbookUrl.exec(annotations.runbook_url ?? "")?.[1];

it("has every rule of a name apart by its labels", () => {
  const titles = alerts.map(titleOf);
  expect(titles.length).toBeGreaterThan(30);
  expect(new Set(titles).size).toBe(titles.length);
});

it.each(labelled)("has a severity, a summary with its place and a runbook: %s", (_, rule) => {
  expect(rule.labels.severity).toMatch(/^(critical|warning)$/);
  expect(rule.annotations.summary).toContain("{{ with $labels.namespace }}{{ . }}/{{ end }}{{ $labels.job }}");
  expect(runbookOf(rule)).toBeDefined();
});

/** Pages that are looked for when something is lost, whatever alert says so. */
const ofNoAlert = ["disaster-recovery.md"];

it("has a page for each runbook, and no page without an alert", () => {
  const pages = readdirSync(join(docs, "runbooks"));
  expect(pages.sort()).toEqual([...new Set([...alerts.map(runbookOf), ...ofNoAlert])].sort());
});

it("has the same expression for each window of a recording rule", () => {
  const windows = records.filter(({ record }) => !record.startsWith("kms:cache_hit:"));
  const exprs = new Map<string, string[]>();
  for (const { record, expr } of windows) {
    const [, name, window] = /^(.*?)(\d+[mhd])$/.exec(record)!;
    exprs.set(name!, [...(exprs.get(name!) ?? []), expr.replaceAll(`[${window}]`, "[…]")]);
  }
  expect(exprs.size).toBe(4);
  for (const [first, ...others] of exprs.values()) {
    expect(first).not.toMatch(/\[\d/);
    expect(others.length).toBeGreaterThan(1);
    expect(new Set(others)).toEqual(new Set([first]));
  }
});

describe("metrics", () => {
  it("has a row in METRICS.md for each that a rule reads", () => {
    const stated = rowsOf(readFileSync(join(docs, "METRICS.md"), "utf8"), "name").map(([name]) => namesIn(name!)[0]!);
    const read = [...records, ...alerts].flatMap(({ expr }) => metricsOf(expr, records));
    // Prometheus itself makes `up`.
    expect([...new Set(read)].filter((name) => name !== "up" && !stated.includes(name)).sort()).toEqual([]);
  });

  it.each([
    ['sum by (job, code) (rate(a_total{code=~"b|c"}[5m])) / d > 14.4 * 0.001', ["a_total", "d"]],
    ["a_seconds_bucket{le='0.1'} unless on (job) last_over_time(b[1d] offset 10m)", ["a_seconds", "b"]],
    ["time() - max by (job) (a) > 40 * 86400 and predict_linear(b[6h], 24 * 3600) < 0", ["a", "b"]],
    ["a:b:rate1h > 1 or c == bool 1", ["d", "c"]],
  ])("are those of an expression: %s", (expr, metrics) => {
    expect(metricsOf(expr, [{ record: "a:b:rate1h", expr: "rate(d[1h])" }])).toEqual(metrics);
  });
});

describe("cases", () => {
  /** Checks of one alert: for each, whether this rule fires. */
  const checksIn = ({ alert_rule_test }: Case, { alert, labels }: AlertRule) =>
    alert_rule_test
      .filter(({ alertname }) => alertname === alert)
      .map(({ exp_alerts = [] }) =>
        exp_alerts.some(({ exp_labels }) =>
          Object.entries(labels).every(([name, value]) => exp_labels[name] === value),
        ),
      );

  it.each(labelled)("has one that fires: %s", (_, rule) => {
    expect(cases.flatMap((each) => checksIn(each, rule))).toContain(true);
  });

  it.each(labelled)("has one with all its metrics that stays silent: %s", (_, rule) => {
    const silent = cases.filter((each) => checksIn(each, rule).length > 0 && !checksIn(each, rule).includes(true));
    const metrics = metricsOf(rule.expr, records);
    const read = silent.map(({ input_series }) => input_series.flatMap(({ series }) => metricsOf(series)));
    expect(read.some((names) => metrics.every((metric) => names.includes(metric)))).toBe(true);
  });

  it("has all labels and annotations of an alert that it expects", () => {
    const expected = cases.flatMap(({ alert_rule_test }) =>
      alert_rule_test.flatMap(({ exp_alerts = [] }) => exp_alerts),
    );
    for (const alert of expected) {
      expect(alert.exp_labels).toHaveProperty("severity");
      expect(alert).toHaveProperty("exp_annotations.summary");
      expect(alert).toHaveProperty("exp_annotations.runbook_url");
    }
  });
});

describe("the rules of Alertmanager", () => {
  const { inhibit_rules: inhibitions } = readConfig();

  it("name alerts and values of labels that there are", () => {
    const matchers = inhibitions.flatMap(({ source_matchers, target_matchers }) => [
      ...source_matchers,
      ...target_matchers,
    ]);
    const wrong = matchers.filter((matcher) => {
      const [, label, values] = /^(\w+) =~? "?([\w|]+)"?$/.exec(matcher)!;
      const known = alerts.map(({ alert, labels }) => (label === "alertname" ? alert : labels[label!]));
      return values!.split("|").some((value) => !known.includes(value));
    });
    expect(inhibitions.length).toBeGreaterThan(10);
    expect(wrong).toEqual([]);
  });

  it("keep services apart", () => {
    for (const { equal } of inhibitions) expect(equal).toEqual(expect.arrayContaining(["cluster", "namespace", "job"]));
  });
});

describe("the fast copy", () => {
  const text = readFileSync(rulesPath, "utf8");
  const fast = parse(fastRules(text)) as typeof rules;
  const timesOf = (rule: { expr: string; for?: string }) => [
    ...(rule.for === undefined ? [] : [rule.for]),
    ...[...rule.expr.matchAll(/(?:\[|offset )(\w+)/g)].map(([, time]) => time!),
  ];

  it("has the same rules, with the same labels and annotations", () => {
    expect(recordsOf(fast).map(({ record }) => record)).toEqual(records.map(({ record }) => record));
    const known = ({ alert, labels, annotations }: AlertRule) => ({ alert, labels, annotations });
    expect(alertsOf(fast).map(known)).toEqual(alerts.map(known));
  });

  it("has a sixtieth of every wait and range", () => {
    const times = [...records, ...alerts].flatMap(timesOf);
    const fasterTimes = [...recordsOf(fast), ...alertsOf(fast)].flatMap(timesOf);
    expect(fasterTimes.map((time) => durationMs(time) * 60)).toEqual(times.map(durationMs));
    expect(Math.max(...fasterTimes.map(durationMs))).toBe(72 * 60_000);
  });

  it("reads the same metrics", () => {
    const read = (file: typeof rules) => alertsOf(file).map(({ expr }) => metricsOf(expr, recordsOf(file)));
    expect(read(fast)).toEqual(read(rules));
  });

  const copyOf = (expr: string, options?: Parameters<typeof fastRules>[1]) => {
    const { groups } = parse(fastRules(JSON.stringify({ groups: [{ rules: [{ record: "a", expr }] }] }), options));
    return groups[0].rules[0].expr;
  };

  it.each([
    ["rate(a[3d]) > 20", "rate(a[72m]) > 20"],
    ["max_over_time(a[1h30m:1m] offset 5m)", "max_over_time(a[90s:1s] offset 5s)"],
    ["a[45s]", "a[750ms]"],
    ['a{b="[5m] 5m"} > 2.5 * c', 'a{b="[5m] 5m"} > 2.5 * c'],
    ["a:rate1h > 14.4 * 0.001", "a:rate1h > 14.4 * 0.001"],
    ["time() - a > 40 * 86400", "time() - a > 40 * 1440"],
    ["predict_linear(a[6h], 24 * 3600) < 0", "predict_linear(a[6m], 24 * 60) < 0"],
    ["a > 1 * 60", "a > 1 * 60"],
  ])("has of %s: %s", (expr, faster) => {
    expect(copyOf(expr)).toBe(faster);
  });

  it("has days as short as a test wants them", () => {
    expect(copyOf("a > 9 * 86400", { daySeconds: 1 })).toBe("a > 9 * 1");
    expect(fastRules(text, { daySeconds: 1 })).not.toContain("86400");
  });
});
