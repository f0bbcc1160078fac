/** The shape of the rules file, monitoring/prometheus/kms-alerts.yaml, and the metrics that its rules read. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

export interface RulesFile {
  groups: { name: string; interval?: string; rules: (AlertRule | RecordingRule)[] }[];
}

export interface AlertRule {
  alert: string;
  expr: string;
  for?: string;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
}

export interface RecordingRule {
  record: string;
  expr: string;
}

export const rulesPath = join(import.meta.dirname, "..", "..", "monitoring", "prometheus", "kms-alerts.yaml");

export function readRules(): RulesFile {
  return parse(readFileSync(rulesPath, "utf8")) as RulesFile;
}

/** Returns every alerting rule in order. Several may have the same name, and differ in their labels. */
export function alertsOf({ groups }: RulesFile): AlertRule[] {
  return groups.flatMap(({ rules }) => rules.filter((rule) => "alert" in rule));
}

export function recordsOf({ groups }: RulesFile): RecordingRule[] {
  return groups.flatMap(({ rules }) => rules.filter((rule) => "record" in rule));
}

const histogramSuffix = /_(?:bucket|sum|count)$/;
const words = new Set(["and", "or", "unless", "offset", "bool"]);

/**
 * Returns the metrics that a PromQL expression reads, each once. A series of a recording rule stands for the metrics of
 * that rule, and one of a histogram for the histogram.
 */
export function metricsOf(expr: string, records: readonly RecordingRule[] = []): string[] {
  const names = namesIn(expr).flatMap((name) => {
    const record = records.find((rule) => rule.record === name);
    return record === undefined ? [name.replace(histogramSuffix, "")] : metricsOf(record.expr, records);
  });
  return [...new Set(names)];
}

/** Returns the names outside of selectors, ranges, texts and lists of labels, except functions and operators. */
function namesIn(expr: string): string[] {
  const bare = expr
    .replace(/\{[^}]*\}/g, "")
    .replace(/\[[^\]]*\]/g, "")
    .replace(/"[^"]*"/g, "")
    .replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, "");
  // An aggregation may have its labels in front, which are taken out by now: `sum (…)`.
  const names = bare.matchAll(/(?<![\w:.])[a-zA-Z_:][\w:]*(?![\w:]*\s*\()/g);
  return [...names].map(([name]) => name).filter((name) => !words.has(name));
}
