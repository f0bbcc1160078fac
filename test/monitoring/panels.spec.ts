/**
 * Two services on one PostgreSQL and one on SQLite, in use, with a Prometheus that looks at them: every panel, rule and query of a runbook
 * finds what it names, and the totals are those of Status.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import type { StatusResponse } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { hungMs } from "../support/hung.ts";
import { type SharedPostgres, sharedPostgres } from "../support/shared-postgres.ts";
import { alertsOf, metricsOf, readRules, recordsOf, rulesPath } from "./alert-rules.ts";
import { panelProblems } from "./panels.ts";
import { job, namespace, type Prometheus, startPrometheus } from "./prometheus.ts";
import { namesIn, scrape } from "./scraped.ts";
import { newSite, ownTenant, scrapeToken, type Service, type Site } from "./site.ts";
import { callEverything } from "./use.ts";

const root = join(import.meta.dirname, "..", "..");
const runbooks = join(root, "docs", "runbooks");
/** Long enough for two looks of Prometheus while calls are made, and less than the window of the rates. */
const usedForMs = 10_000;
const rateInterval = "30s";
/** How often a service looks at its provider key by itself, so that a total stays for a while. */
const rarely = { KMS_PROVIDER_CHECK_INTERVAL: "50s" };

let server: SharedPostgres;
let pair: { site: Site; services: readonly [Service, Service] };
let single: { site: Site; services: readonly [Service] };
let prometheus: Prometheus;
/** All names that any of the services has. */
let names: ReadonlySet<string>;

beforeAll(async () => {
  [server, prometheus] = await Promise.all([
    sharedPostgres(),
    startPrometheus({ rules: [rulesPath], token: scrapeToken.token }),
  ]);
  const [paired, alone] = await Promise.all([
    newSite({ database: await server.createDatabase(), whole: true, env: rarely }),
    newSite({ whole: true, env: rarely }),
  ]);
  const start = () => Promise.all([paired.start(), alone.start()]);
  const [first, only] = await start();
  pair = { site: paired, services: [first, await paired.start()] };
  single = { site: alone, services: [only] };
  for (const [cluster, { services }] of Object.entries({ pair, single })) {
    prometheus.add(...services.map(({ http: url }) => ({ url, cluster })));
  }
  const endsAt = performance.now() + usedForMs;
  for (let round = 0; performance.now() < endsAt; round += 1) {
    await Promise.all([
      ...pair.services.map((service, at) => callEverything(pair.site, service, `tenant-${at}-${round}`)),
      callEverything(single.site, only, round === 0 ? ownTenant : `tenant-${round}`),
    ]);
  }
  names = new Set((await Promise.all([first, only].map(scrape))).flatMap((scraped) => [...namesIn(scraped)]));
  // The last values are looked at, and by the rules.
  await delay(2_500);
});
afterAll(async () => {
  await Promise.all([pair?.site.end(), single?.site.end(), prometheus?.end()]);
  await server?.close();
});

/** A histogram has no series of its own name. */
function isThere(metric: string): boolean {
  return names.has(metric) || names.has(`${metric}_bucket`);
}

/** Those that Prometheus itself has of each target, and those that no service here has because nothing is so wrong. */
const elsewhere = new Set(["up", "ALERTS"]);

describe("the dashboard", () => {
  const path = join(root, "monitoring", "grafana", "dashboards", "kms-operations.json");
  const dashboard = JSON.parse(readFileSync(path, "utf8"));
  /** Events are queries as those of panels, with a title as their legend. */
  const events = dashboard.annotations.list.map(
    ({ name, expr, titleFormat: legendFormat }: Record<string, string>) => ({
      title: name,
      targets: [{ refId: "A", expr, legendFormat }],
    }),
  );
  const asked = { panels: [...dashboard.panels, ...events] };
  const chosen = { namespace, job, instance: ".*" };

  it.each(["pair", "single"])(
    "finds series with the labels of its legend in every panel, in cluster %s",
    async (cluster) => {
      const check = { prometheus: prometheus.url, variables: { ...chosen, cluster }, rateInterval };
      expect(await panelProblems(asked, check)).toEqual([]);
    },
  );
});

describe("the metrics of an autoscaler", () => {
  const { rules } = parse(readFileSync(join(root, "deploy", "prometheus-adapter", "values.yaml"), "utf8"));
  const of: AdapterRule[] = rules.custom;

  /** As the adapter asks for a metric of pods. A scrape here has no label of a pod, which an instance stands for. */
  function asked({ seriesQuery, metricsQuery }: AdapterRule): string {
    const parts = {
      Series: /^\w+/.exec(seriesQuery)![0],
      GroupBy: "instance",
      LabelMatchers: `namespace="${namespace}",cluster="pair"`,
    };
    return metricsQuery.replace(/<<\.(\w+)>>/g, (_, name: string) => parts[name as keyof typeof parts]);
  }

  it.each(of)("$name.as is found for each replica", async (rule) => {
    const found = await prometheus.query(asked(rule));
    expect(found).toHaveLength(2);
    for (const { value } of found) expect(value).toBeGreaterThan(0);
  });

  it("are those that the chart's example names", () => {
    const example = readFileSync(join(root, "deploy", "helm", "fluo-kms", "ci", "autoscaling.yaml"), "utf8");
    const named = parse(example).autoscaling.metrics.map((each: PodsMetric) => each.pods.metric.name);
    expect(named).toEqual(of.map(({ name }) => name.as));
  });
});

interface AdapterRule {
  seriesQuery: string;
  metricsQuery: string;
  name: { as: string };
}

interface PodsMetric {
  pods: { metric: { name: string } };
}

describe("the rules", () => {
  it("are well", async () => {
    const rules = await prometheus.rules();
    expect(rules.length).toBeGreaterThan(20);
    expect(rules.filter(({ health, lastError }) => health !== "ok" || lastError !== undefined)).toEqual([]);
  });

  it("name metrics that the services have", () => {
    const file = readRules();
    const records = recordsOf(file);
    const named = [...alertsOf(file), ...records].flatMap(({ expr }) => metricsOf(expr, records));
    expect([...new Set(named)].filter((metric) => !isThere(metric) && !elsewhere.has(metric))).toEqual([]);
  });

  it("record something, so that no selector of theirs finds nothing", async () => {
    for (const { record } of recordsOf(readRules())) {
      expect(await prometheus.query(`${record}{cluster="pair"}`), record).not.toEqual([]);
    }
  });
});

describe("the runbooks", () => {
  const records = recordsOf(readRules());
  const queries = readdirSync(runbooks)
    .filter((name) => name.endsWith(".md"))
    .flatMap((name) => {
      const blocks = readFileSync(join(runbooks, name), "utf8").matchAll(/```promql\n(.*?)```/gs);
      return [...blocks].map(([, query]) => ({ name, query: query!.trim() }));
    });

  it.each(queries)("$name: $query", async ({ query }) => {
    await prometheus.query(query);
    expect(metricsOf(query, records).filter((metric) => !isThere(metric) && !elsewhere.has(metric))).toEqual([]);
  });
});

describe("the totals", () => {
  /** Without two looks at the same moment, both are taken until they agree: a service calls its provider by itself, too. */
  async function agree(told: (statuses: readonly StatusResponse[]) => Record<string, number>, queries: Totals) {
    let seen: unknown;
    const endsAt = performance.now() + hungMs;
    do {
      const statuses = await Promise.all(pair.services.map(({ client }) => client.status({})));
      await delay(1_500); // until Prometheus has looked
      const found = Object.fromEntries(
        (await Promise.all(queries.map((query) => totalsOf(query)))).flatMap((each) => [...each]),
      );
      const wanted = told(statuses);
      if (same(found, wanted)) return;
      seen = { found, wanted };
    } while (performance.now() < endsAt);
    const { found, wanted } = seen as { found: unknown; wanted: unknown };
    expect(found).toEqual(wanted);
  }

  type Totals = readonly { name: string; expression: string; labels: readonly string[] }[];

  async function totalsOf({ name, expression, labels }: Totals[number]): Promise<[string, number][]> {
    const found = await prometheus.query(expression);
    return found.map(({ labels: of, value }) => [[name, ...labels.map((label) => of[label])].join(" "), value]);
  }

  it("of caches are those of both replicas together", async () => {
    const sum = (name: string, metric: string) => ({
      name,
      expression: `sum by (key_type) (${metric}{cluster="pair"})`,
      labels: ["key_type"],
    });
    const counted = [
      ...[sum("hits", "kms_cache_hit_total"), sum("misses", "kms_cache_miss_total")],
      ...[sum("evictions", "kms_cache_evictions_total"), sum("size", "kms_cache_size")],
    ];
    await agree((statuses) => {
      const totals: Record<string, number> = {};
      for (const { keyType, ...cache } of statuses.flatMap((status) => status.cache)) {
        for (const name of ["hits", "misses", "evictions", "size"] as const) {
          totals[`${name} ${keyType}`] = (totals[`${name} ${keyType}`] ?? 0) + Number(cache[name]);
        }
      }
      return totals;
    }, counted);
  });

  it("of the store are those of either replica, and not twice as much", async () => {
    const expression = 'max by (purpose, state) (kms_keys{cluster="pair"}) > 0';
    await agree(
      ([status]) =>
        Object.fromEntries(
          status!.keys.map(({ purpose, state, count }) => [`keys ${purpose} ${state}`, Number(count)]),
        ),
      [{ name: "keys", expression, labels: ["purpose", "state"] }],
    );
  });

  it("of the provider are the requests of both", async () => {
    await agree(
      (statuses) => {
        const totals: Record<string, number> = {};
        for (const [operation, calls] of statuses.flatMap(({ cost }) => Object.entries(cost!.providerCalls))) {
          totals[`requests ${operation}`] = (totals[`requests ${operation}`] ?? 0) + Number(calls);
        }
        return totals;
      },
      [
        {
          name: "requests",
          expression: 'sum by (operation) (kms_provider_requests_total{cluster="pair"})',
          labels: ["operation"],
        },
      ],
    );
  });

  it("of calls are one whether counted by outcome, by status or by time", async () => {
    const total = (by: string, metric: string) => `sum by (${by}) (${metric}{cluster="pair"})`;
    const outcomes = total("rpc_method", "kms_calls_total");
    const timed = `(${total("rpc_method", "rpc_server_call_duration_seconds_count")} or ${total("rpc_method", "kms_stream_duration_seconds_count")})`;
    expect((await prometheus.query(`${outcomes} > 0`)).length).toBeGreaterThan(20);
    expect(await prometheus.query(`${outcomes} != ${timed}`)).toEqual([]);
    expect(await prometheus.query(`(${outcomes} > 0) unless ${timed}`)).toEqual([]);
    const failed = `sum (kms_calls_total{cluster="pair", outcome!="ok"})`;
    expect(await prometheus.query(`${failed} != sum (kms_errors_total{cluster="pair"})`)).toEqual([]);
  });
});

function same(one: Record<string, number>, other: Record<string, number>): boolean {
  const sorted = (all: Record<string, number>) => JSON.stringify(Object.entries(all).sort());
  return sorted(one) === sorted(other);
}
