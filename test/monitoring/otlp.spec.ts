/**
 * Two services on one PostgreSQL that send their metrics by OTLP to a Collector, which Prometheus looks at: all is there under the names that
 * a scrape gives, with its values, and each replica has series of its own.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type SharedPostgres, sharedPostgres } from "../support/shared-postgres.ts";
import { type CollectorProcess, startCollectorProcess } from "./collector-process.ts";
import { type Labels, type Prometheus, startPrometheus } from "./prometheus.ts";
import { namesIn, type Scraped, scrape, sumOf } from "./scraped.ts";
import { newSite, ownTenant, type Service, type Site } from "./site.ts";
import { callEverything } from "./use.ts";

let server: SharedPostgres;
let collector: CollectorProcess;
let prometheus: Prometheus;
let site: Site;
let spans: SpanStore;
let services: readonly [Service, Service];
let scraped: readonly Scraped[];

beforeAll(async () => {
  spans = await startSpanStore();
  [server, collector, prometheus] = await Promise.all([
    sharedPostgres(),
    startCollectorProcess({ spans: spans.url }),
    startPrometheus({ honorLabels: true }),
  ]);
  site = await newSite({
    database: await server.createDatabase(),
    whole: true,
    env: { OTEL_METRIC_EXPORT_INTERVAL: "1000", OTEL_TRACES_EXPORTER: "none", KMS_PROVIDER_CHECK_INTERVAL: "50s" },
  });
  const exporting = (protocol: keyof CollectorProcess["endpoints"]) => ({
    OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: protocol,
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT:
      protocol === "grpc" ? collector.endpoints.grpc : `${collector.endpoints[protocol]}/v1/metrics`,
  });
  const first = await site.start(exporting("http/protobuf"));
  services = [first, await site.start(exporting("grpc"))];
  await Promise.all(services.map((service, at) => callEverything(site, service, [ownTenant, "acme"][at]!)));
  prometheus.add({ url: collector.url, cluster: "otlp", path: "/metrics" });
  await sent();
  scraped = await Promise.all(services.map(scrape));
});
afterAll(async () => {
  await Promise.all([site?.end(), prometheus?.end(), collector?.end()]);
  await Promise.all([server?.close(), spans?.close()]);
});

const all = '{cluster="otlp", job="fluo-kms"}';

/** Of the Collector, or of Prometheus about its own look at it. */
const others = /^(target_info|up|scrape_.*)$/;

/** Resolves when every span of the calls is told of: three batches of ten, twice and in two modes. */
async function sent(): Promise<void> {
  await prometheus.until(`sum(kms_spans_signed_total${all}) >= 124`);
  await delay(2_000);
}

// Nothing is called any more. A look at the Collector that takes longer than a second, on a busy machine, leaves every series out for that second.
it("has the names that a scrape gives, and no others", async () => {
  const wanted = [...new Set(scraped.flatMap((each) => [...namesIn(each)]))].sort();
  const names = async () => {
    const found = await prometheus.query(`count by (__name__) (${all})`);
    return found.map(({ labels }) => labels.__name__!).filter((name) => !others.test(name));
  };
  await expect.poll(async () => (await names()).sort()).toEqual(wanted);
});

it("has each replica apart, by its service.instance.id", async () => {
  const ids = () => prometheus.query(`count by (instance) (kms_ready${all})`);
  await expect.poll(async () => (await ids()).map(({ value }) => value)).toEqual([1, 1]);
  for (const { labels } of await prometheus.until(`kms_ready${all}`)) {
    expect(labels.instance).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  }
  const apart = await prometheus.query(`count by (__name__) (${all} unless on (instance) kms_ready${all})`);
  expect(apart.filter(({ labels }) => !others.test(labels.__name__!))).toEqual([]);
});

it("has as many series as both scrapes together", async () => {
  const shown = Map.groupBy(
    scraped.flatMap(({ samples }) => samples),
    ({ name }) => name,
  );
  for (const [name, samples] of shown) {
    const counted = () => prometheus.query(`count(${name}${all})`);
    await expect.poll(async () => (await counted())[0]?.value, { message: name }).toBe(samples.length);
  }
});

it.each<[name: string, labels: Labels]>([
  ["kms_spans_signed_total", { mode: "log" }],
  ["kms_spans_signed_total", { mode: "individual" }],
  ["kms_pii_fields_total", { operation: "encrypt" }],
  ["kms_errors_total", { operation: "EnableKey", code: "NOT_FOUND" }],
  ["kms_calls_total", { rpc_method: "EncryptPii", outcome: "ok" }],
  ["kms_calls_total", { outcome: "caller_fault" }],
  ["rpc_server_call_duration_seconds_count", { rpc_method: "SignSpan" }],
  ["rpc_server_call_duration_seconds_bucket", { rpc_method: "SignSpan", le: "0.1" }],
  ["kms_cache_size", { key_type: "data" }],
  ["kms_rotation_success_total", {}],
])("has the sum of both replicas of %s%j", async (name, labels) => {
  const selector = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const sum = () => prometheus.query(`sum(${name}${all.replace("}", ["", ...selector].join(", "))}})`);
  const wanted = scraped.reduce((total, each) => total + sumOf(each, name, labels), 0);
  expect(wanted).toBeGreaterThan(0);
  await expect.poll(async () => (await sum())[0]?.value).toBe(wanted);
});

it("hands spans on to where they are kept", async () => {
  const span = { traceId: "5b8efff798038103d269b633813fc60c", spanId: "eee19b7ec3c1b174", name: "a span on its way" };
  const answer = await fetch(`${collector.endpoints["http/json"]}/v1/traces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }),
  });
  expect(answer.status).toBe(200);
  await eventually(() => expect(spans.given()).toContain(span.name));
});

interface SpanStore {
  url: string;
  /** All that it was given, as text. */
  given(): string;
  close(): Promise<void>;
}

async function startSpanStore(): Promise<SpanStore> {
  let given = "";
  const store = createServer(async (request, response) => {
    const body = await buffer(request);
    if (request.url === "/v1/traces") {
      given += (request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body).toString("latin1");
    }
    response.end();
  }).listen(0, "127.0.0.1");
  await once(store, "listening");
  return {
    url: `http://127.0.0.1:${(store.address() as AddressInfo).port}`,
    given: () => given,
    async close() {
      store.closeAllConnections();
      await once(store.close(), "close");
    },
  };
}
