/** Every query of a dashboard, asked of a Prometheus that scrapes services in use. */
import { mayBeEmpty } from "../../scripts/dashboard/dashboard.ts";

/** Parts of a dashboard's JSON that are read here. */
export interface Dashboard {
  panels: readonly { title: string; targets?: readonly { refId: string; expr: string; legendFormat: string }[] }[];
}

/** A running Prometheus, and the values of the variables. */
export interface LiveCheck {
  /** Base URL of Prometheus, such as `http://127.0.0.1:9090`. */
  prometheus: string;
  /** Values of the dashboard's variables, as regular expressions: `.*` stands for all. */
  variables: Readonly<Record<string, string>>;
  /** Value of `$__rate_interval`: at least four times the interval between scrapes, such as `10s`. */
  rateInterval: string;
}

type Series = Readonly<Record<string, string>>;

/**
 * Returns a line for each query that fails, finds no series, has a legend with a label that is on no series, or has a
 * legend that two series share. The services must be scraped with the labels `cluster` and `namespace`, which every
 * legend names. A query of a metric in `mayBeEmpty` may find nothing.
 */
export async function panelProblems({ panels }: Dashboard, check: LiveCheck): Promise<string[]> {
  const problems: string[] = [];
  for (const { title, targets = [] } of panels) {
    for (const { refId, expr, legendFormat } of targets) {
      const said = await problemsOf(expr, legendFormat, check);
      problems.push(...said.map((problem) => `${title}, ${refId}: ${problem}`));
    }
  }
  return problems;
}

async function problemsOf(expr: string, legend: string, check: LiveCheck): Promise<string[]> {
  try {
    const query = filledIn(expr, { ...check.variables, __rate_interval: check.rateInterval });
    const found = await ask(check.prometheus, query);
    if (found.length === 0) return isExcused(expr) ? [] : [`finds nothing: ${query}`];
    return legendProblems(found, legend);
  } catch (error) {
    return [`${error instanceof Error ? error.message : error}: ${expr}`];
  }
}

function legendProblems(found: readonly Series[], legend: string): string[] {
  const labels = [...legend.matchAll(/{{(\w+)}}/g)].map(([, label]) => label!);
  const missing = labels.filter((label) => !found.some((series) => label in series));
  const names = found.map((series) => legend.replaceAll(/{{(\w+)}}/g, (_, label) => series[label] ?? ""));
  const twice = new Set(names.filter((name, at) => names.indexOf(name) !== at));
  return [
    ...missing.map((label) => `no series has the label ${label} of the legend`),
    ...[...twice].map((name) => `several series are named "${name}"`),
  ];
}

function isExcused(expr: string): boolean {
  return Object.keys(mayBeEmpty).some((metric) => expr.includes(`${metric}{`));
}

function filledIn(expr: string, values: Readonly<Record<string, string>>): string {
  return expr.replaceAll(/\$(\w+)/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`the variable ${name} has no value`);
    return value;
  });
}

/** Returns the labels of each series that a query finds now. Throws what Prometheus says against it. */
async function ask(prometheus: string, query: string): Promise<Series[]> {
  const response = await fetch(`${prometheus}/api/v1/query?${new URLSearchParams({ query })}`);
  const body = await response.text();
  if (!response.headers.get("content-type")?.startsWith("application/json"))
    throw new Error(`${response.status} ${body}`);
  const { data, error } = JSON.parse(body) as { data?: { result: { metric: Series }[] }; error?: string };
  if (data === undefined) throw new Error(error);
  return data.result.map(({ metric }) => metric);
}
