/**
 * Two minutes of ordinary load, with all that an operator need not be told of in it: quiet streams, a rolling restart, callers with short
 * deadlines or that leave, bad requests, and a tenant who disabled their own provider key. No alert fires, though time passes 60 times faster
 * in the rules.
 */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { SignMode } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { plainSpan } from "../support/api-fixture.ts";
import { eventually } from "../support/eventually.ts";
import { fromNow } from "../support/from-now.ts";
import { type SharedPostgres, sharedPostgres } from "../support/shared-postgres.ts";
import { batchOf, spansFrom } from "../support/span-batches.ts";
import { openStream, type SpanClient } from "../support/stream-client.ts";
import { rulesPath } from "./alert-rules.ts";
import { fastRules } from "./fast-rules.ts";
import { type Prometheus, startPrometheus, type Target } from "./prometheus.ts";
import { newSite, ownTenant, scrapeToken, type Service, type Site } from "./site.ts";
import { shownBy, useKeys } from "./use.ts";

const loadedForMs = 120_000;
const cluster = "silent";
const tenants = Array.from({ length: 8 }, (_, index) => `tenant-${index}`);

let server: SharedPostgres;
let prometheus: Prometheus;
let site: Site;
let services: [Service, Service];
let load: ReturnType<typeof startLoad>;
beforeAll(async () => {
  const rules = join(mkdtempSync(join(tmpdir(), "fluo-kms-silent-")), "fast.yaml");
  writeFileSync(rules, withPatience(fastRules(readFileSync(rulesPath, "utf8"))));
  [server, prometheus] = await Promise.all([
    sharedPostgres(),
    startPrometheus({ rules: [rules], token: scrapeToken.token }),
  ]);
  site = await newSite({ database: await server.createDatabase(), whole: true });
  services = [await site.start(), await site.start()];
  // Keys of a service that has run for a while are in memory.
  for (const service of services) for (const tenant of [...tenants, ownTenant]) await warm(service, tenant);
  look();
  load = startLoad();
});
afterAll(async () => {
  await load?.stop();
  await Promise.all([site?.end(), prometheus?.end()]);
  await server?.close();
});

/** What the rules promise of times is for a machine that does nothing else. */
function withPatience(rules: string): string {
  // In seconds, ten times what the rules have.
  const [slow, late, unwritten] = [1, 2, 10];
  const changed = rules
    .replaceAll('le="0.1"', `le="${slow}"`)
    .replace(/(nodejs_eventloop_lag_seconds\{percentile="99"\}\) > )0\.2/, `$1${late}`)
    .replace(/(kms_audit_unwritten_seconds\) > )1\b/, `$1${unwritten}`);
  if (changed === rules) throw new Error("the rules do not read as expected");
  return changed;
}

/** Other suites begin at the same time, and a machine that is busy with them may have a service wait for its store. */
async function warm(service: Service, tenantId: string): Promise<void> {
  await eventually(() => useKeys(service, tenantId), { everyMs: 500 });
}

let looked: Target[] = [];
function look(): void {
  prometheus.remove(...looked);
  looked = services.map(({ http: url }) => ({ url, cluster }));
  prometheus.add(...looked);
}

/** One thing that callers do, so often in a second, on one service after the other. What becomes of it is looked at in the metrics. */
interface Habit {
  perSecond: number;
  of(service: Service, turn: number): Promise<unknown>;
}

const value = Buffer.from("ann@example.com");
const tenantOf = (turn: number) => tenants[turn % tenants.length]!;

const habits: readonly Habit[] = [
  { perSecond: 2, of: (service, turn) => useKeys(service, tenantOf(turn)) },
  { perSecond: 8, of: ({ client }, turn) => client.signSpan({ tenantId: tenantOf(turn), span: plainSpan }) },
  // Deadlines that pass before anybody could answer, and callers that go.
  {
    perSecond: 2,
    of: ({ client }, turn) =>
      client.signSpan({ tenantId: tenantOf(turn), span: plainSpan }, { deadline: fromNow(turn % 5) }),
  },
  { perSecond: 1, of: (service) => leave(service) },
  // Requests that are wrong.
  { perSecond: 2, of: ({ client }, turn) => client.encryptPii({ tenantId: tenantOf(turn), fields: [] }) },
  { perSecond: 1, of: ({ client }) => client.admin.disableKey({ tenantId: "acme", keyId: "0".repeat(32) }) },
  // The tenant whose provider key is disabled.
  {
    perSecond: 0.5,
    of: ({ client }) => client.encryptPii({ tenantId: ownTenant, fields: [{ name: "email", value }] }),
  },
  { perSecond: 0.2, of: ({ client }) => client.rotate({ tenantId: ownTenant, force: true }) },
];

/** Begins a stream, and cancels it in the middle of a batch. */
async function leave({ grpc }: Service): Promise<void> {
  const stream = openStream(grpc, {}, {}, shownBy(site));
  await stream.send(batchOf(spansFrom(0, 100), { tenantId: tenantOf(0), mode: SignMode.INDIVIDUAL }));
  stream.close();
}

function startLoad() {
  const timers = habits.map(({ perSecond, of }) => {
    let turn = 0;
    return setInterval(() => {
      turn += 1;
      of(services[turn % 2]!, turn).catch(() => {});
    }, 1_000 / perSecond);
  });
  const quiet: SpanClient[] = [];
  /** Streams that are open, and nobody sends anything. */
  const openQuietStreams = (service: Service) => {
    for (const mode of [SignMode.INDIVIDUAL, SignMode.LOG]) {
      const stream = openStream(service.grpc, {}, {}, shownBy(site));
      stream.failure().catch(() => {});
      void stream.send(batchOf(spansFrom(0, 1), { tenantId: tenantOf(1), mode }));
      quiet.push(stream);
    }
  };
  for (const service of services) openQuietStreams(service);
  return {
    openQuietStreams,
    stop() {
      for (const timer of timers) clearInterval(timer);
      for (const stream of quiet) stream.close();
    },
  };
}

/** One replica after the other ends in good order once another is there for it, as in an update. */
async function rollingRestart(): Promise<void> {
  for (const at of [0, 1]) {
    const former = services[at]!;
    services[at] = await site.start();
    load.openQuietStreams(services[at]!);
    look();
    expect(await former.end()).toBe(0);
  }
}

it("fires no alert in two minutes of ordinary load", async () => {
  const endsAt = performance.now() + loadedForMs;
  await delay(20_000);
  site.tenantKey.state = "Disabled";
  await delay(20_000);
  await rollingRestart();
  await delay(Math.max(0, endsAt - performance.now()));

  const fired = await prometheus.query('count_over_time(ALERTS{alertstate="firing"}[1h])');
  expect(fired.map(({ labels, value: seconds }) => ({ ...labels, seconds }))).toEqual([]);
  // All of it was there.
  const outcomes = await prometheus.query("sum by (outcome) (kms_calls_total) > 0");
  expect(outcomes.map(({ labels }) => labels.outcome)).toEqual(
    expect.arrayContaining(["ok", "caller_fault", "lifecycle"]),
  );
  expect(await prometheus.query('kms_provider_keys{condition="denied", scope="tenant"} > 0')).not.toEqual([]);
  expect(await prometheus.query('increase(kms_rotation_failures_total{scope="tenant"}[2m]) > 0')).not.toEqual([]);
  expect(await prometheus.query("max_over_time(kms_streams[5m]) > 0")).not.toEqual([]);
});
