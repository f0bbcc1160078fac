/** `status`: how the running service is doing. */
import { type Command, exitCode, jsonOption, textOf } from "../command.ts";
import { countsText, printJsonText, printLine, printTable } from "../print.ts";
import { callService, serviceDetails, serviceOptions } from "../service-client.ts";

interface CacheStatus {
  hits: number;
  misses: number;
  evictions: number;
  size: number;
  max_size: number;
  stale?: number;
}

interface ProviderKey {
  provider: string;
  key_id: string | null;
  region: string | null;
  condition: string;
  detail: string;
  since: string | null;
}

interface CostStatus {
  provider_calls: Record<string, number>;
  provider_calls_per_day: number;
  /** An older service sends nothing of what follows. */
  charged_calls_per_day?: number;
  provider_keys?: number;
  cost_per_month?: number;
  prices?: { per_10000_calls: number; per_key_month: number; currency: string; charged: string };
  key_loads?: Record<string, number>;
  projections?: {
    ttl_seconds: number;
    calls_per_day: number;
    cost_per_month: number;
    most_calls_per_day: number;
    most_cost_per_month: number;
  }[];
  example?: { requests_per_second: number; cache_hit_rate: number; calls_per_day: number; cost_per_month: number };
  uncertainty?: string;
}

interface AuthenticationStatus {
  kind: string;
  policy?: PolicyStatus;
  identities?: Record<string, number>;
  refusals?: { kind: string; reason: string; count: number }[];
  certificate_expires_at?: string | null;
}

interface PolicyStatus {
  sha256: string;
  loaded_at: string;
  rules: number;
  reload_failures: number;
  problems: string[];
  separation: boolean;
  two_person_destruction: boolean;
  issuers: { name: string; keys: number; problem: string; age_seconds: number | null }[];
  crl_next_update: string | null;
}

/** A notice as the service sends it, which may be of another release. */
export interface SentNotice {
  code: string;
  subject: string;
  text: string;
}

/** Members that an older service does not send are undefined. */
export interface Status {
  provider?: string;
  status?: string;
  latency_ms?: number;
  version?: string;
  uptime_seconds?: number;
  store?: string;
  store_id?: string;
  provider_keys?: ProviderKey[];
  tenant_keys?: (ProviderKey & { name: string; tenants: number })[];
  tenant_keys_total?: number;
  tenant_keys_unusable?: number;
  cache?: Record<string, CacheStatus>;
  cache_ttl_seconds?: number;
  max_stale_seconds?: number;
  keys?: Record<string, Record<string, number>>;
  rotation?: {
    enabled: boolean;
    max_age_days: number;
    last: string | null;
    next: string | null;
    due: number;
    failed: number;
  };
  destructions_waiting?: {
    total: number;
    first: { tenant_id: string; key_id: string; destroy_at: string; unwitnessed_seconds: number | null; why: string }[];
    second_clock: string | null;
    clock_ahead_seconds: number | null;
  };
  breakers?: { name: string; state: string }[];
  cost?: CostStatus;
  audit?: { writer_id: string; sequence: number };
  heads?: { file: string; since: string | null; written_at: string | null; problem: string; remark: string };
  memory?: { implementation: string; locked: boolean };
  authentication?: AuthenticationStatus;
  integrity?: { percent: number; finished: string | null; findings_total: number };
  notices?: string[];
  notice_details?: SentNotice[];
}

const timeoutMs = 30_000;
/** More than anyone reads at once are counted; --json has all that the service shows. */
const shownTenantKeys = 20;

export const status: Command = {
  name: "status",
  summary: "Shows the state of a running service: health, keys, caches, rotation, provider calls and their cost.",
  options: [
    ...serviceOptions,
    { name: "tenant", value: "TENANT", description: "count the keys of this tenant alone" },
    jsonOption,
  ],
  details: serviceDetails,
  async run(options) {
    const tenant = textOf(options, "tenant");
    const query = tenant === undefined ? "" : `?${new URLSearchParams({ tenant_id: tenant })}`;
    const { text, json } = await callService(options, {
      method: "GET",
      path: `/api/admin/kms/status${query}`,
      timeoutMs,
    });
    if (options.json) printJsonText(text);
    else printStatus(json);
    return json.status === "operational" || json.status === "degraded" ? exitCode.ok : exitCode.failed;
  },
};

function printStatus(status: Status): void {
  const { keys = {}, cache = {}, provider_keys = [], rotation, breakers = [], cost, memory, notices = [] } = status;
  const { tenant_keys = [], tenant_keys_total = 0, tenant_keys_unusable = 0 } = status;
  const rows: string[][] = [
    ["status", String(status.status)],
    ["provider", `${status.provider}, ${status.latency_ms} ms`],
    ...provider_keys.map((key, at) => [at === 0 ? "provider key" : "other key", providerKeyText(key)]),
    ...(tenant_keys_total === 0
      ? []
      : [["tenants' keys", `${tenant_keys_total}, of which ${tenant_keys_unusable} cannot be used now`]]),
    ...tenant_keys
      .slice(0, shownTenantKeys)
      .map((key) => [
        "",
        `${key.name} of ${key.tenants} tenant${key.tenants === 1 ? "" : "s"}: ${providerKeyText(key)}`,
      ]),
    ["store", [status.store, status.store_id].filter(Boolean).join(" ")],
    ["version", `${status.version}, up ${status.uptime_seconds} s`],
    ...Object.entries(keys).map(([purpose, states]) => [`${purpose} keys`, countsText(states)]),
    ...Object.entries(cache).map(([type, caught]) => [`${type} cache`, cacheText(caught)]),
  ];
  if (status.cache_ttl_seconds !== undefined) {
    const { cache_ttl_seconds, max_stale_seconds } = status;
    rows.push(["cached for", `${cache_ttl_seconds} s, ${max_stale_seconds} s more without an answer of the provider`]);
  }
  if (rotation) rows.push(["rotation", rotationText(rotation)]);
  if (status.destructions_waiting) rows.push(...destructionRows(status.destructions_waiting));
  if (cost) rows.push(...costRows(cost));
  for (const { name, state } of breakers) rows.push(["breaker", `${name} ${state}`]);
  if (status.authentication) rows.push(...authenticationRows(status.authentication));
  if (status.integrity) rows.push(["integrity", integrityText(status.integrity)]);
  if (status.heads) rows.push(["heads", headsText(status.heads)]);
  if (memory) rows.push(["memory", `${memory.implementation}, ${memory.locked ? "locked" : "not locked"}`]);
  printTable(rows);
  for (const notice of notices) printLine(`notice: ${notice}`);
}

/** Rows of the table; none if no key waits. */
function destructionRows({ total, first, ...clock }: NonNullable<Status["destructions_waiting"]>): string[][] {
  if (total === 0) return [];
  const ahead = clock.second_clock && `${clock.clock_ahead_seconds} s ahead of ${clock.second_clock}`;
  return [
    ["destructions", `${total} scheduled; the clock: ${ahead ?? "no second one, so that downtime never counts"}`],
    ...first.map(({ tenant_id, key_id, destroy_at, unwitnessed_seconds: left, why }) => {
      const toGo = left === null ? "" : `, ${Math.ceil(left / 3_600)} h to be witnessed`;
      return ["", `key ${key_id} of ${tenant_id} at ${destroy_at}${toGo}: ${why}`];
    }),
  ];
}

function providerKeyText({ provider, key_id, region, condition, detail, since }: ProviderKey) {
  return [key_id ?? provider, ...(region === null ? [] : [`in ${region}`]), `${condition} since ${since}`, detail].join(
    ", ",
  );
}

function cacheText({ hits, misses, evictions, size, max_size, stale = 0 }: CacheStatus): string {
  const counted = `${size} of ${max_size}, ${hits} hits, ${misses} misses, ${evictions} evictions`;
  return stale === 0 ? counted : `${counted}, ${stale} served past their time`;
}

function integrityText({ percent, finished, findings_total }: NonNullable<Status["integrity"]>): string {
  const state = percent < 100 ? `checking ${percent} %` : `checked ${finished}`;
  return findings_total === 0 ? state : `${state}, ${findings_total} found damaged`;
}

function headsText({ file, since, written_at, problem, remark }: NonNullable<Status["heads"]>): string {
  const written = file === "" ? "none" : `${file} since ${since ?? "never"}, written ${written_at ?? "never"}`;
  return [written, problem, remark].filter((part) => part !== "").join("; ");
}

function rotationText({ enabled, max_age_days, last, next, due, failed }: NonNullable<Status["rotation"]>): string {
  const when = `last ${last ?? "never"}, next ${next ?? "never"}`;
  return `${enabled ? "on" : "off"}, after ${max_age_days} days, ${when}, ${due} due, ${failed} failed`;
}

/** Returns the rows on cost: calls, what they and the provider keys cost, and what they would at another TTL. */
function costRows(cost: CostStatus): string[][] {
  const { prices, key_loads, projections = [], example, uncertainty } = cost;
  const calls = [["provider calls", `${countsText(cost.provider_calls)}; ${cost.provider_calls_per_day} a day`]];
  if (prices === undefined) return calls;
  const money = (amount: number) => `${grouped(amount, 2)} ${prices.currency}`;
  const monthly = (perDay: number, perMonth: number) => `${grouped(perDay)} calls a day, ${money(perMonth)} a month`;
  return [
    ...calls,
    ...(key_loads ? [["keys loaded", countsText(key_loads)]] : []),
    ["cost", `${money(cost.cost_per_month ?? 0)} a month: ${pricedText(cost, prices)}`],
    ...projections.map((at) => [
      `at TTL ${at.ttl_seconds} s`,
      `${monthly(at.calls_per_day, at.cost_per_month)}; at most ${monthly(at.most_calls_per_day, at.most_cost_per_month)}`,
    ]),
    ...(example
      ? [["example", `${monthly(example.calls_per_day, example.cost_per_month)}: ${exampleText(example)}`]]
      : []),
    ...(uncertainty ? [["cost is rough", uncertainty]] : []),
  ];
}

function pricedText(cost: CostStatus, prices: NonNullable<CostStatus["prices"]>): string {
  const { charged_calls_per_day = 0, provider_keys = 0 } = cost;
  const kind = prices.charged === "all" ? "calls" : `${prices.charged} calls`;
  const keys = `${provider_keys} provider key${provider_keys === 1 ? "" : "s"} at ${prices.per_key_month}`;
  return `${grouped(charged_calls_per_day)} ${kind} a day at ${prices.per_10000_calls} per 10,000, ${keys}`;
}

function exampleText({ requests_per_second, cache_hit_rate }: NonNullable<CostStatus["example"]>): string {
  return `a cache that answers ${Math.round(cache_hit_rate * 100)} % of ${grouped(requests_per_second)} requests a second`;
}

function grouped(value: number, digits = 0): string {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Returns the rows on callers and how they prove who they are; none of a service that authenticates nobody. */
function authenticationRows(authentication: AuthenticationStatus): string[][] {
  const { policy, identities = {}, refusals = [], certificate_expires_at } = authentication;
  if (policy === undefined) return [];
  const refused = refusals.map(({ kind, reason, count }) => `${count} ${kind} ${reason}`);
  return [
    ["policy", policyText(policy)],
    ["identities", countsText(identities)],
    ["refused", refused.length === 0 ? "none" : refused.join(", ")],
    ...policy.issuers.map((issuer) => [`issuer ${issuer.name}`, issuerText(issuer)]),
    ...(certificate_expires_at ? [["certificate", `ends ${certificate_expires_at}`]] : []),
    ...(policy.crl_next_update ? [["revocation", `lists are good until ${policy.crl_next_update}`]] : []),
  ];
}

function policyText(policy: PolicyStatus): string {
  const { sha256, loaded_at, rules, reload_failures, separation, two_person_destruction } = policy;
  return [
    `${rules} rule${rules === 1 ? "" : "s"} since ${loaded_at}`,
    `separation ${separation ? "on" : "off"}`,
    `destruction by ${two_person_destruction ? "two" : "one"}`,
    ...(reload_failures === 0 ? [] : [`${reload_failures} reload${reload_failures === 1 ? "" : "s"} failed`]),
    `SHA-256 ${sha256}`,
  ].join(", ");
}

function issuerText({ keys, problem, age_seconds }: PolicyStatus["issuers"][number]): string {
  const loaded =
    age_seconds === null ? "no keys yet" : `${keys} key${keys === 1 ? "" : "s"}, ${Math.round(age_seconds)} s old`;
  return problem === "" ? loaded : `${loaded}; they cannot be had: ${problem}`;
}
