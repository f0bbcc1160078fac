/** Alerts of the rules file and their runbooks. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const file = join(import.meta.dirname, "..", "..", "monitoring", "prometheus", "kms-alerts.yaml");

interface Rules {
  groups: { rules: { alert?: string; annotations?: { runbook_url: string } }[] }[];
}

/** Returns the URL of each alert's runbook by the alert's name. */
export function runbooksByAlert(): Record<string, string> {
  const { groups } = parse(readFileSync(file, "utf8")) as Rules;
  const alerts = groups.flatMap(({ rules }) => rules.filter(({ alert }) => alert !== undefined));
  return Object.fromEntries(alerts.map(({ alert, annotations }) => [alert!, annotations!.runbook_url]));
}
