/** PromQL as the dashboard writes it: filtered by its variables, and aggregated one service at a time. */

/** Labels that name one service. Prometheus adds them; a small installation may have no `cluster` or `namespace`. */
const service = ["cluster", "namespace", "job"] as const;

const ofService = service.map((label) => `${label}=~"$${label}"`);

/** Selects a metric's series of the chosen replicas. `matchers` narrow them further, such as `percentile="99"`. */
export function series(metric: string, ...matchers: readonly string[]): string {
  return `${metric}{${[...ofService, 'instance=~"$instance"', ...matchers].join(", ")}}`;
}

/** Selects series that rules make, which are of whole services. */
export function recorded(rule: string, ...matchers: readonly string[]): string {
  return `${rule}{${[...ofService, ...matchers].join(", ")}}`;
}

export function rate(metric: string, ...matchers: readonly string[]): string {
  return `rate(${series(metric, ...matchers)}[$__rate_interval])`;
}

/** Growth of a counter in a fixed time, such as `1h`. */
export function increase(metric: string, window: string, ...matchers: readonly string[]): string {
  return `increase(${series(metric, ...matchers)}[${window}])`;
}

/** Adds up what each replica does or has by itself. Metrics of the store are the same on each replica: take `max`. */
export const sum = aggregation("sum");
export const max = aggregation("max");
export const min = aggregation("min");
export const avg = aggregation("avg");
export const count = aggregation("count");

/** Quantile of a histogram over all replicas of a service. */
export function quantile(q: number, histogram: string, label: string): string {
  return `histogram_quantile(${q}, ${sum(rate(`${histogram}_bucket`), "le", label)})`;
}

/** Aggregates by service, and by the given labels of ours. */
function aggregation(operator: string) {
  return (vector: string, ...labels: readonly string[]) =>
    `${operator} by (${[...service, ...labels].join(", ")}) (${vector})`;
}

/** One query of a panel, and the name of its series. */
export interface Query {
  expr: string;
  legend: string;
}

/** Names a query's series: `legend` first, then the service, so that no two services look alike. */
export function query(expr: string, legend: string): Query {
  return { expr, legend: [legend, ...service.toReversed().map((label) => `{{${label}}}`)].join(" ") };
}

/** Queries of a panel about single replicas: the five highest, and the span of all. */
export function perReplica(vector: string): Query[] {
  return [query(`topk(5, ${vector})`, "{{instance}}"), query(max(vector), "most"), query(min(vector), "least")];
}
