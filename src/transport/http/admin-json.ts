/** The administrative answers and requests as the JSON that FLUO's operators and dashboards know. */
import { create } from "@bufbuild/protobuf";
import { KeyPurpose, KeyState, type KeyVersion } from "../../../gen/ts/fluo/kms/v1/key_pb.ts";
import { Outcome, type ProviderKey, type ValidateResponse } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import type { LogHandover, LogHead, PublicKey } from "../../../gen/ts/fluo/kms/v1/public_key_pb.ts";
import {
  type RotateRequest,
  RotateRequestSchema,
  type RotateResponse,
} from "../../../gen/ts/fluo/kms/v1/rotation_pb.ts";
import { type FieldViolation, KmsError } from "../../errors.ts";
import type { PublicKeySet } from "../../service/kms/public-key-set.ts";
import { shortName } from "../strict-json.ts";
import { dateText, numbers, roundMs } from "./json-values.ts";
import { noticeJson } from "./status-json.ts";

const stateNames = new Map<number, string>(Object.entries(KeyState).map(([name, state]) => [state, name]));

const purposeNames: Partial<Record<KeyPurpose, string>> = {
  [KeyPurpose.DATA]: "data",
  [KeyPurpose.SIGNING]: "signing",
};

export function validateJson(response: ValidateResponse) {
  const verdict = (test: ValidateResponse["tests"][number]) =>
    test.outcome === Outcome.PASS ? `PASS (${roundMs(test.latencyMs)}ms)` : `FAIL: ${test.message}`;
  return {
    provider: response.provider,
    overall: response.overall === Outcome.PASS ? "PASS" : "FAIL",
    tests: Object.fromEntries(response.tests.map((test) => [test.name, verdict(test)])),
    latency_ms: Object.fromEntries(Object.entries(response.latencyMs).map(([name, ms]) => [name, roundMs(ms)])),
    recommendations: response.recommendations,
    recommendation_details: response.recommendationDetails.map(noticeJson),
    key: response.key && providerKeyJson(response.key),
    other_keys: response.otherKeys.map(providerKeyJson),
    provider_calls: numbers(response.providerCalls),
  };
}

/** What the provider does not tell is null. */
function providerKeyJson({ provider, keyId, region, state, rotation, clockSkewMs }: ProviderKey) {
  return {
    provider,
    key_id: keyId,
    region: region || null,
    state: state || null,
    rotation: rotation || null,
    clock_skew_ms: clockSkewMs === undefined ? null : Number(clockSkewMs),
  };
}

export function rotateJson(response: RotateResponse) {
  return {
    rotated: response.rotated.map(({ key, retiredKeyId }) => ({ ...keyJson(key), retired_key_id: retiredKeyId })),
    skipped: response.skipped.map(({ key, reason }) => ({ ...keyJson(key), reason })),
    failed: response.failed.map(({ tenantId, purpose, error }) => ({
      tenant_id: tenantId,
      purpose: purposeNames[purpose],
      code: error?.code,
      message: error?.message,
    })),
    remaining: Number(response.remaining),
    dry_run: response.dryRun,
  };
}

function keyJson(key: KeyVersion | undefined) {
  return {
    tenant_id: key?.tenantId,
    purpose: purposeNames[key?.purpose ?? 0],
    key_id: key?.keyId,
    version: key?.version,
  };
}

/** RFC 7517, with the members that a verifier of old signatures needs: the text in pieces, whatever the number of keys. */
export function* jwksText({ keys, handovers, unusedHandovers, endedLogs }: PublicKeySet): Generator<string> {
  yield '{"keys":[';
  yield* listed(keys, jwkJson);
  yield '],"handovers":[';
  yield* listed(handovers, handoverJson);
  yield "]";
  yield* memberIfAny("unused_handovers", unusedHandovers, unusedHandoverJson); // releases of 0.1 alone left some
  yield* memberIfAny("ended_logs", endedLogs, logHeadJson);
  yield "}\n";
}

/** A list that most tenants have nothing for. */
function* memberIfAny<T>(name: string, items: Iterable<T>, json: (item: T) => unknown): Generator<string> {
  let opening = `,"${name}":[`;
  for (const text of listed(items, json)) {
    yield opening + text;
    opening = "";
  }
  if (opening === "") yield "]";
}

function* listed<T>(items: Iterable<T>, json: (item: T) => unknown): Generator<string> {
  let separator = "";
  for (const item of items) {
    yield separator + JSON.stringify(json(item));
    separator = ",";
  }
}

function jwkJson(key: PublicKey) {
  const { jwk, state, version, validFrom, validUntil, compromisedAt, vkeys, compromisedLog } = key;
  return {
    kty: jwk?.kty,
    crv: jwk?.crv,
    x: jwk?.x,
    kid: jwk?.kid,
    alg: jwk?.alg,
    use: jwk?.use,
    state: stateNames.get(state),
    version,
    valid_from: dateText(validFrom),
    valid_until: dateText(validUntil),
    compromised_at: dateText(compromisedAt),
    vkeys,
    compromised_log: compromisedLog ? logHeadJson(compromisedLog) : null,
  };
}

function handoverJson({ log, origin, fromKeyId, toKeyId, leafIndex, entry, proof }: LogHandover) {
  return {
    log,
    origin,
    from_key_id: fromKeyId,
    to_key_id: toKeyId,
    leaf_index: Number(leafIndex),
    entry: base64(entry),
    proof,
  };
}

/** The place and the entry, by which an auditor tells it from a missing span. */
function unusedHandoverJson({ origin, leafIndex, entry }: LogHandover) {
  return { origin, leaf_index: Number(leafIndex), entry: base64(entry) };
}

function logHeadJson({ log, origin, size, root }: LogHead) {
  return { log, origin, size: Number(size), root: base64(root) };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

export function tenantIdOf(json: Record<string, unknown>): string {
  return pick(json, { tenant_id: "string" }).tenant_id ?? "";
}

export function rotateRequest(json: Record<string, unknown>): RotateRequest {
  const types = {
    tenant_id: "string",
    purpose: "string",
    force: "boolean",
    dry_run: "boolean",
    request_id: "string",
    limit: "number",
  } as const;
  const { tenant_id, purpose, force, dry_run, request_id, limit } = pick(json, types);
  const wanted = { "": KeyPurpose.UNSPECIFIED, data: KeyPurpose.DATA, signing: KeyPurpose.SIGNING }[purpose ?? ""];
  if (wanted === undefined)
    refuse([{ field: "purpose", description: 'must be "data" or "signing"; leave it out for both' }]);
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 0 && limit <= 0xffff_ffff)) {
    refuse([{ field: "limit", description: "must be a whole number" }]);
  }
  return create(RotateRequestSchema, {
    tenantId: tenant_id ?? "",
    purpose: wanted ?? KeyPurpose.UNSPECIFIED,
    force: force ?? false,
    dryRun: dry_run ?? false,
    requestId: request_id ?? "",
    limit: limit ?? 0,
  });
}

type Typed<T> = { [K in keyof T]?: T[K] extends "string" ? string : T[K] extends "number" ? number : boolean };

/** The known members, of the right types. Anything else is refused: a misspelt `dry_run` must not rotate. */
function pick<const T extends Record<string, "string" | "number" | "boolean">>(
  json: Record<string, unknown>,
  types: T,
): Typed<T> {
  const violations: FieldViolation[] = [];
  for (const [field, value] of Object.entries(json)) {
    const type = Object.hasOwn(types, field) ? types[field] : undefined;
    const known = Object.keys(types).join(", ");
    if (type === undefined) violations.push({ field: shortName(field), description: `is unknown; known are ${known}` });
    else if (typeof value !== type) violations.push({ field, description: `must be a ${type}` });
  }
  refuse(violations, "the JSON has members that are unknown or of the wrong type");
  return json as Typed<T>;
}

function refuse(violations: readonly FieldViolation[], inLog?: string): void {
  const [first] = violations;
  if (!first) return;
  const message = `${first.field}: ${first.description}`;
  throw new KmsError("INVALID_ARGUMENT", message, { violations, ...(inLog !== undefined && { inLog }) });
}
