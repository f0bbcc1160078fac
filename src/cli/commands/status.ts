/** `status`: how the running service is doing. */
import { type Command, exitCode, jsonOption, textOf } from "../command.ts";
import { type AuthenticationStatus, authenticationRows } from "./status-authentication.ts";
import { type CostStatus, costRows } from "./status-cost.ts";
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
