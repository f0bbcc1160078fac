/** What Status says, as the JSON that FLUO's operators and dashboards know. */
import { durationMs } from "@bufbuild/protobuf/wkt";
import {
  type AuthenticationStatus,
  type CostProjection,
  type CostStatus,
  type DestructionStatus,
  Health,
  type IntegrityStatus,
  type Notice,
  type PolicyStatus,
  ProviderCondition,
  type ProviderKeyStatus,
  type StatusResponse,
} from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { dateText, numbers, roundMs, seconds } from "./json-values.ts";

const healthNames: Partial<Record<Health, string>> = {
  [Health.OPERATIONAL]: "operational",
  [Health.DEGRADED]: "degraded",
  [Health.DOWN]: "down",
};

const conditionNames: Partial<Record<ProviderCondition, string>> = {
  [ProviderCondition.ANSWERING]: "answering",
  [ProviderCondition.UNAVAILABLE]: "unavailable",
  [ProviderCondition.DENIED]: "denied",
};

export function statusJson(response: StatusResponse) {
  const { rotation, cost, memory, audit, authentication, integrity, heads } = response;
  const keys: Record<string, Record<string, number>> = { data: {}, signing: {} };
  for (const { purpose, state, count } of response.keys) keys[purpose] = { ...keys[purpose], [state]: Number(count) };
  return {
    provider: response.provider,
    status: healthNames[response.status],
    latency_ms: roundMs(response.latencyMs),
    version: response.version,
    uptime_seconds: seconds(response.uptime),
    store: response.store,
    store_id: response.storeId,
    provider_keys: response.providerKeys.map(providerKeyStatusJson),
    tenant_keys: response.tenantKeys.map((key) => ({
      name: key.name,
      tenants: key.tenants,
      ...providerKeyStatusJson(key),
    })),
    tenant_keys_total: response.tenantKeysTotal,
    tenant_keys_unusable: response.tenantKeysUnusable,
    cache: Object.fromEntries(
      response.cache.map(({ keyType, hits, misses, evictions, size, maxSize, stale }) => [
        keyType,
        { hits: Number(hits), misses: Number(misses), evictions: Number(evictions), size, max_size: maxSize, stale },
      ]),
    ),
    cache_ttl_seconds: seconds(response.cacheTtl),
    max_stale_seconds: seconds(response.maxStale),
    keys,
    rotation: rotation && {
      enabled: rotation.enabled,
      max_age_days: rotation.maxAge ? durationMs(rotation.maxAge) / 86_400_000 : 0,
      last: dateText(rotation.last),
      next: dateText(rotation.next),
      due: Number(rotation.due),
      failed: Number(rotation.failed),
    },
    breakers: response.breakers.map(({ name, state }) => ({ name, state })),
    cost: cost && costJson(cost),
    audit: audit && {
      writer_id: audit.writerId,
      sequence: Number(audit.sequence),
      mac: audit.mac,
      durable_at: dateText(audit.durableAt),
      problem: audit.problem,
    },
    heads: heads && {
      file: heads.file,
      since: dateText(heads.since),
      written_at: dateText(heads.writtenAt),
      commits: Number(heads.commits),
      problem: heads.problem,
      remark: heads.remark,
    },
    authentication: authentication && authenticationJson(authentication),
    destructions_waiting: response.destructionsWaiting && destructionsJson(response.destructionsWaiting),
    integrity: integrity && integrityJson(integrity),
    memory: memory && { implementation: memory.implementation, locked: memory.locked },
    notices: response.notices,
    notice_details: response.noticeDetails.map(noticeJson),
  };
}

/** A code of docs/NOTICES.md. */
export function noticeJson({ code, subject, text }: Notice) {
  return { code, subject, text };
}

function integrityJson({ percent, began, finished, findings, findingsTotal }: IntegrityStatus) {
  return {
    percent,
    began: dateText(began),
    finished: dateText(finished),
    findings: findings.map(({ kind, tenantId, keyId, log, what }) => ({
      kind,
      tenant_id: tenantId || null,
      key_id: keyId || null,
      log: Number(log) || null,
      what,
    })),
    findings_total: Number(findingsTotal),
  };
}

/** The id of a key that was not opened yet is null. */
function providerKeyStatusJson(key: ProviderKeyStatus) {
  const { provider, keyId, region, condition, detail, since, latencyMs } = key;
  return {
    provider,
    key_id: keyId || null,
    region: region || null,
    condition: conditionNames[condition],
    detail,
    since: dateText(since),
    latency_ms: roundMs(latencyMs),
  };
}

function destructionsJson({ total, first, witnessed, witnessedAt, secondClock, clockAhead }: DestructionStatus) {
  return {
    total: Number(total),
    first: first.map(({ version, destroyAt, unwitnessed, why }) => ({
      tenant_id: version?.tenantId,
      key_id: version?.keyId,
      destroy_at: dateText(destroyAt),
      unwitnessed_seconds: unwitnessed ? seconds(unwitnessed) : null,
      why,
    })),
    witnessed_seconds: seconds(witnessed),
    witnessed_at: dateText(witnessedAt),
    second_clock: secondClock || null,
    clock_ahead_seconds: clockAhead ? seconds(clockAhead) : null,
  };
}

/** Calls are whole, and money has four digits after the point: a hundredth of a cent. */
function costJson(cost: CostStatus) {
  const { prices, example, keyLoads: loads } = cost;
  return {
    provider_calls: numbers(cost.providerCalls),
    provider_calls_per_day: Math.round(cost.providerCallsPerDay),
    charged_calls_per_day: Math.round(cost.chargedCallsPerDay),
    provider_keys: cost.providerKeys,
    cost_per_month: money(cost.costPerMonth),
    prices: prices && {
      per_10000_calls: prices.perTenThousandCalls,
      per_key_month: prices.perKeyMonth,
      currency: prices.currency,
      charged: prices.charged,
    },
    key_loads: loads && {
      first: Number(loads.first),
      refreshed: Number(loads.refreshed),
      expired: Number(loads.expired),
      doubted: Number(loads.doubted),
    },
    projections: cost.projections.map(projectionJson),
    example: example && {
      requests_per_second: example.requestsPerSecond,
      cache_hit_rate: example.cacheHitRate,
      calls_per_day: Math.round(example.callsPerDay),
      cost_per_month: money(example.costPerMonth),
    },
    uncertainty: cost.uncertainty,
  };
}

function projectionJson(projection: CostProjection) {
  return {
    ttl_seconds: seconds(projection.ttl),
    calls_per_day: Math.round(projection.callsPerDay),
    cost_per_month: money(projection.costPerMonth),
    most_calls_per_day: Math.round(projection.mostCallsPerDay),
    most_cost_per_month: money(projection.mostCostPerMonth),
  };
}

function money(amount: number): number {
  return Math.round(amount * 10_000) / 10_000;
}

function authenticationJson(authentication: AuthenticationStatus) {
  const { kind, policy, identities, refusals, certificateExpiresAt } = authentication;
  return {
    kind,
    policy: policy && policyJson(policy),
    identities: Object.fromEntries(identities.map(({ kind, count }) => [kind, count])),
    refusals: refusals.map(({ kind, reason, count }) => ({ kind, reason, count: Number(count) })),
    certificate_expires_at: dateText(certificateExpiresAt),
  };
}

function policyJson({ sha256, loadedAt, rules, reloadFailures, problems, issuers, ...policy }: PolicyStatus) {
  return {
    sha256,
    loaded_at: dateText(loadedAt),
    rules,
    reload_failures: Number(reloadFailures),
    problems,
    separation: policy.separation,
    two_person_destruction: policy.twoPersonDestruction,
    issuers: issuers.map(({ name, keys, age, problem }) => ({
      name,
      keys,
      problem,
      age_seconds: age === undefined ? null : seconds(age),
    })),
    crl_next_update: dateText(policy.crlNextUpdate),
  };
}
