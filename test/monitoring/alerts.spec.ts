/**
 * Each alert fires on live services by its real cause: where the cause comes while Prometheus looks on, where it was there before the first
 * look, and with services that are started anew while it is there; and it ends when the cause does. Many causes are there at once, each in a
 * cluster of its own, and time passes 60 times faster in the rules.
 */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { eventually } from "../support/eventually.ts";
import { type SharedPostgres, sharedPostgres } from "../support/shared-postgres.ts";
import { firstOfEach, isShort } from "../support/short.ts";
import { type Alertmanager, startAlertmanager } from "./alertmanager.ts";
import { type AlertRule, alertsOf, readRules, rulesPath, type RulesFile } from "./alert-rules.ts";
import { availability } from "./causes/availability.ts";
import type { Cause, Expected, Scene } from "./causes/cause.ts";
import { configuration } from "./causes/configuration.ts";
import { providers } from "./causes/providers.ts";
import { saturation } from "./causes/saturation.ts";
import { stores } from "./causes/store.ts";
import { fastRules } from "./fast-rules.ts";
import { type Alert, type Prometheus, startPrometheus, type Target } from "./prometheus.ts";
import { type Road, roadTo } from "./road.ts";
import { newSite, scrapeToken, type Service } from "./site.ts";

/** Those that wait for long come first. */
const causes = [...stores.toReversed(), ...configuration, ...providers.toReversed(), ...saturation, ...availability];

/** Alerts that no live cause is made for, and why. promtool's cases say when these fire. */
const notLive: readonly { alert: Expected; why: string }[] = [
  {
    alert: { name: "KmsCertificateExpires", labels: { of: "jwks" } },
    why: "the keys of an issuer are loaded every 10 minutes, and three of these pass before it fires",
  },
  {
    alert: { name: "KmsSaturated", labels: { resource: "sqlite_thread" } },
    why: "a lock on the file has calls fail rather than wait, and a disk that is slow cannot be made",
  },
  {
    alert: { name: "KmsSaturated", labels: { resource: "batch_threads" } },
    why: "a thread that hangs would take it, as batches are done faster than a test can send them",
  },
];

/** The longest wait of a rule is a minute; the rest is for a machine that does much else. */
const withinMs = 240_000;

let server: SharedPostgres;
let prometheus: Prometheus;
let alertmanager: Alertmanager;
let watched: ReturnType<typeof watchAlerts>;
beforeAll(async () => {
  process.setMaxListeners(0);
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-alerts-"));
  const rules = readFileSync(rulesPath, "utf8");
  const isOfAge = ({ labels }: AlertRule) => labels?.resource === "integrity_pass";
  const isOfRestarts = ({ alert }: AlertRule) => alert === "KmsRestarts";
  const files = {
    "fast.yaml": fastRules(rules),
    // A day is a second for the age of a pass: any other age is of something that a test can make old.
    "old.yaml": only(fastRules(rules, { daySeconds: 1 }), "old", isOfAge),
    // On a busy machine a service starts too slowly to start often in the faster time.
    "restarts.yaml": only(rules, "restarts", isOfRestarts),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  [server, alertmanager] = await Promise.all([sharedPostgres(), startAlertmanager()]);
  prometheus = await startPrometheus({
    rules: Object.keys(files).map((name) => join(dir, name)),
    token: scrapeToken.token,
    alertmanager: alertmanager.address,
  });
  watched = watchAlerts(prometheus);
});
afterAll(async () => {
  watched?.stop();
  await prometheus?.end();
  await alertmanager?.end();
  await server?.close();
});

/** Returns a rules file with the wanted rules alone. The suffix gives its groups names of their own. */
function only(text: string, suffix: string, isWanted: (rule: AlertRule) => boolean): string {
  const { groups } = parse(text) as RulesFile;
  const of = groups.map((group) => ({
    ...group,
    name: `${group.name}-${suffix}`,
    rules: group.rules.filter((rule) => isWanted(rule as AlertRule)),
  }));
  return stringify({ groups: of.filter(({ rules: left }) => left.length > 0) });
}

it.concurrent.each(firstOfEach(isShort ? causes.toReversed() : causes))("$name", async (cause) => {
  const why = await cause.whyNot?.();
  if (why !== undefined) {
    console.error(`SKIPPED: ${cause.name}: ${why}`);
    expect(process.env.CI, why).not.toBe("true");
    return;
  }
  const place = await newPlace(cause);
  const stages = stagesOf(cause.name);
  try {
    await place.start();
    await place.looked(cause.name);
    stages.ended("healthy");
    await cause.begin(place.scene);
    const late = place.targets(`${cause.name}-late`);
    prometheus.add(...late);
    await Promise.all([
      watched.fires(cause.name, cause.fires),
      watched.fires(`${cause.name}-late`, cause.late ?? cause.fires),
    ]);
    prometheus.remove(...late);
    stages.ended("fires");
    await pagesOnce(cause, place.restarts());
    stages.ended("pages");
    await again(cause, place);
    stages.ended("started anew");
    if (cause.end) {
      await cause.end(place.scene);
      if (cause.restarted === "gone") await place.startAgain();
      await place.looked(cause.name);
      await watched.ends(cause.name, without(cause.fires, cause.linger ?? []));
      stages.ended("ended");
    }
    expect(watched.everFired(cause.name, cause.silent ?? [])).toEqual([]);
  } finally {
    stages.print();
    await place.close();
  }
});

/** Where the time of a cause goes. */
function stagesOf(name: string) {
  const said: string[] = [];
  let beganMs = performance.now();
  return {
    ended(stage: string) {
      said.push(`${stage} ${((performance.now() - beganMs) / 1_000).toFixed(0)} s`);
      beganMs = performance.now();
    },
    print: () => console.log(`${name}: ${said.join(", ")}`),
  };
}

/** Every alert of the cause fires by now: those that are not held back are what somebody is woken by. */
async function pagesOnce({ name, pages = [] }: Cause, restarts: number): Promise<void> {
  if (pages === "any") return;
  await eventually(
    async () => {
      const critical = (await alertmanager.open(name)).filter(({ severity }) => severity === "critical");
      expect([...new Set(critical.map(({ alertname }) => alertname))].sort(), name).toEqual([...pages].sort());
      // The pager has one incident of it, and was told of the cause.
      const told = alertmanager.sent.filter(
        ({ receiver, groupLabels }) => receiver === "pager" && groupLabels.cluster === name,
      );
      const names = told.flatMap(({ alerts }) => alerts.map(({ labels }) => labels.alertname));
      expect(names, name).toEqual(expect.arrayContaining([...pages]));
      const lastOfEach = new Map(told.map(({ groupKey, alerts }) => [groupKey, alerts]));
      // A restart takes more than the faster minute on a busy machine, and is an incident that ends.
      const incidents = [...lastOfEach.values()].filter(
        (alerts) => restarts === 0 || alerts.some(({ status }) => status === "firing"),
      );
      expect(incidents.length, `${name} was paged for ${names.join(", ")}`).toBe(Math.min(pages.length, 1));
    },
    { everyMs: 500 },
  );
}

/** Services that are started anew while the cause is there. */
async function again(cause: Cause, place: Awaited<ReturnType<typeof newPlace>>): Promise<void> {
  const { restarted = "same" } = cause;
  if (restarted === "never") return;
  const failures = await place.startAgain();
  if (restarted === "gone") {
    expect(failures).not.toEqual([]);
    await watched.fires(cause.name, [{ name: "KmsGone" }, { name: "KmsScrapeFails" }]);
    return;
  }
  expect(failures).toEqual([]);
  await cause.beginAgain?.(place.scene);
  const cluster = `${cause.name}-again`;
  prometheus.add(...place.targets(cluster));
  await watched.fires(cluster, cause.late ?? cause.fires);
}

it("has a cause for each alert, or a reason why there is none", () => {
  const made = [...causes.flatMap(({ fires }) => fires), ...notLive.map(({ alert }) => alert)];
  const rules = alertsOf(readRules());
  const ofRules = new Set(rules.flatMap(({ labels }) => Object.keys(labels)));
  /** An expectation counts if it names the labels that tell rules of one name apart. Other labels are of series. */
  const rulesOf = ({ name, labels = {} }: Expected) => {
    const own = Object.fromEntries(Object.entries(labels).filter(([key]) => ofRules.has(key)));
    return rules.filter((rule) => fits({ name, labels: own }, rule.alert, rule.labels));
  };
  const found = made.map(rulesOf).filter((rules) => rules.length === 1);
  const left = rules.filter((rule) => !found.some(([only]) => only === rule));
  expect(left.map(({ alert, labels }) => `${alert} ${JSON.stringify(labels)}`)).toEqual([]);
});

/** Starts are most of the work of this suite, and all at once would be so slow that services take their stores for gone. */
const startsAtOnce = 3;
const starting: Promise<unknown>[] = Array.from({ length: startsAtOnce }, () => Promise.resolve());
let lane = 0;

function fewAtOnce<T>(start: () => Promise<T>): Promise<T> {
  lane = (lane + 1) % startsAtOnce;
  const started = starting[lane]!.then(start);
  starting[lane] = started.catch(() => {});
  return started;
}

/** Services and what is around them. */
async function newPlace(cause: Cause) {
  const { name, store = "sqlite", replicas = 1, call } = cause;
  const database = store === "postgres" ? await server.createDatabase() : undefined;
  const { port } = new URL(server.url);
  const site = await newSite({ ...cause.site, ...(database !== undefined && { database }) });
  const roads: Road[] = [];
  const doors: Road[] = [];
  if (database !== undefined) {
    for (let at = 0; at < replicas; at += 1) roads.push(await roadTo(Number(port)));
  }
  const services: Service[] = [];
  const calling = new Map<Service, NodeJS.Timeout>();
  let added: Target[] = [];
  let turn = 0;
  let restarts = 0;

  async function startOne(at: number): Promise<Service> {
    const { env = {}, options = {} } = cause.start?.(at, site) ?? {};
    const way = database?.replace(`:${port}/`, `:${roads[at]?.port}/`);
    const ofStore = way && { FLUO_KMS_POSTGRES_URL: way, FLUO_KMS_AUDIT_HEADS_FILE: join(site.dir, `heads-${at}`) };
    const given = { ...ofStore, ...env };
    const service = await fewAtOnce(() => site.start(given, options));
    services[at] = service;
    if (cause.keepsAddress) {
      const port = Number(new URL(service.http).port);
      doors[at] ??= await roadTo(port);
      doors[at].lead(port);
    }
    if (call !== undefined) {
      calling.set(
        service,
        setInterval(() => {
          turn += 1;
          call(service, turn).catch(() => {});
        }, 200),
      );
    }
    return service;
  }

  async function endOne(at: number, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const service = services[at];
    if (service === undefined) return;
    clearInterval(calling.get(service));
    await service.end(signal);
  }

  const targets = (cluster: string): Target[] =>
    services.map(({ http }, at) => {
      const door = doors[at];
      return { url: door === undefined ? http : http.replace(/\d+$/, String(door.port)), cluster };
    });

  /** Replaces the targets of the cluster by those that run. */
  function look(): void {
    prometheus.remove(...added);
    added = targets(name);
    prometheus.add(...added);
  }

  /** Resolves when all services of the cluster are looked at. */
  const looked = (cluster: string) =>
    prometheus.until(`count(kms_ready{cluster="${cluster}"}) == ${replicas}`, withinMs);

  const scene: Scene = {
    site,
    services,
    roads,
    server,
    database,
    async restart(at, signal) {
      restarts += 1;
      await endOne(at, signal);
      await startOne(at);
      look();
    },
    looked: () => looked(name),
    async lookedAtNew(at) {
      const metrics = await (await fetch(`${services[at]!.http}/q/metrics`)).text();
      const startedAt = /^process_start_time_seconds\S* (\S+)$/m.exec(metrics)![1];
      await prometheus.until(`process_start_time_seconds{cluster="${name}"} == ${startedAt}`, withinMs);
    },
  };
  await cause.prepare?.(scene);
  return {
    scene,
    targets,
    /** How often the cause itself has started a service anew. */
    restarts: () => restarts,
    async start() {
      for (let at = 0; at < replicas; at += 1) await startOne(at);
      look();
    },
    /** Gives why those that do not start do not. */
    async startAgain(): Promise<string[]> {
      const failures: string[] = [];
      for (let at = 0; at < replicas; at += 1) {
        await endOne(at);
        await startOne(at).catch((error) => failures.push(String(error)));
      }
      look();
      return failures;
    },
    looked,
    async close() {
      for (const timer of calling.values()) clearInterval(timer);
      await site.end();
      await cause.tidy?.(site);
      for (const road of [...roads, ...doors]) road.close();
    },
  };
}

/** What fires, looked at twice a second. */
function watchAlerts(from: Prometheus) {
  const ever = new Map<string, Alert>();
  const stopping = new AbortController();
  let firing: Alert[] = [];
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      firing = (await from.alerts().catch(() => firing)).filter(({ state }) => state === "firing");
      for (const alert of firing) ever.set(JSON.stringify(alert.labels), alert);
      await delay(500);
    }
  })();
  const inCluster = (alerts: Iterable<Alert>, cluster: string) =>
    [...alerts].filter(({ labels }) => labels.cluster === cluster);
  const missing = (cluster: string, expected: readonly Expected[]) =>
    expected.filter((each) => !inCluster(firing, cluster).some(({ name, labels }) => fits(each, name, labels)));

  async function until(what: () => readonly unknown[], cluster: string, words: string): Promise<void> {
    const endsAt = performance.now() + withinMs;
    while (what().length > 0) {
      if (performance.now() > endsAt) {
        const now = inCluster(firing, cluster).map(({ labels }) => JSON.stringify(labels));
        throw new Error(`${cluster}: ${words} ${JSON.stringify(what())}, fires now: ${now.join(" ")}`);
      }
      await delay(500);
    }
  }

  return {
    fires: (cluster: string, expected: readonly Expected[]) =>
      until(() => missing(cluster, expected), cluster, "does not fire:"),
    ends: (cluster: string, expected: readonly Expected[]) =>
      until(() => expected.filter((each) => !missing(cluster, expected).includes(each)), cluster, "does not end:"),
    everFired: (cluster: string, expected: readonly Expected[]) =>
      inCluster(ever.values(), cluster).filter(({ name, labels }) => expected.some((each) => fits(each, name, labels))),
    stop() {
      stopping.abort();
      return loop;
    },
  };
}

function fits({ name, labels = {} }: Expected, alert: string, of: Readonly<Record<string, string>>): boolean {
  return name === alert && Object.entries(labels).every(([key, value]) => of[key] === value);
}

function without(expected: readonly Expected[], others: readonly Expected[]): Expected[] {
  return expected.filter((each) => !others.some((other) => JSON.stringify(other) === JSON.stringify(each)));
}
