/**
 * Rotation: a new ACTIVE version where the present one is old, absent or to be replaced. The old one stays and opens.
 * Each key succeeds, is skipped or fails by itself. A request id makes a retry give the first answer. What a rotation costs does not grow
 * with the versions that a tenant has; only where none is ACTIVE are all of them read.
 *
 * Keys that are due are rotated four at once and at most 100 a second, so that the service answers calls meanwhile and the provider is
 * not flooded: 100,000 of them take 17 minutes.
 */
import { createHash } from "node:crypto";
import { hasCode, KmsError } from "../../errors.ts";
import { cancelled } from "../../runtime/deadline.ts";
import type { Attribution } from "../../store/audit-store.ts";
import type { Activation, KeyName, RequestRecord } from "../../store/key-store.ts";
import type { Fence } from "../../store/lease-store.ts";
import type { Store } from "../../store/store.ts";
import { serviceName } from "../../version.ts";
import { createPace, eachOf } from "../pace.ts";
import type { Keyring, Renewal } from "../keyring.ts";
import { failureScope, type RotationScope } from "./scope.ts";
import { type KeyRecord, type Purpose, purposes as everyPurpose } from "../../store/key-record.ts";
import {
  type Handover,
  type Outcome,
  type RotateDueRequest,
  type Rotation,
  resultOf,
  type RotatedKey,
  type SkippedKey,
} from "./rotation.ts";
import type { Time } from "../../runtime/time.ts";

export interface RotationOptions {
  store: Store;
  keyring: Pick<Keyring, "renew">;
  /** Activates a signing key that follows another. Without it no log is handed over. */
  handover?: Handover;
  time: Time;
  /** Age from which a key is due: `kms.rotation.max-age-days`. */
  maxAgeDays?: number;
  /** Age below which a key is skipped though it is forced: `kms.rotation.min-age`. */
  minAgeMs?: number;
  /** Keys that are due and rotated in a second, at most: `kms.rotation.max-per-second`. */
  maxPerSecond?: number;
  /** Tells whether a tenant has a provider key of its own; none has unless this is given. */
  hasOwnKey?: (tenantId: string) => boolean;
  /** Called with each rotation that was tried; with the scope if it failed. */
  observe?: ((outcome: "success" | "failure", seconds: number, scope?: RotationScope) => void) | undefined;
}

export const defaultRotationLimit = 100;
const defaultMaxAgeDays = 90;
const dayMs = 86_400_000;
const defaultMaxPerSecond = 100;
const dueAtOnce = 4;

type Request = NonNullable<Activation["request"]>;

interface Candidate {
  tenantId: string;
  purpose: Purpose;
  /** The key that is due: none other is rotated in its place. */
  dueKeyId?: string;
  force: boolean;
  dryRun: boolean;
  by: Attribution;
  request?: Request | undefined;
  fence?: Fence | undefined;
}

export function createRotation(options: RotationOptions): Rotation {
  const { store, keyring, handover, time, maxAgeDays = defaultMaxAgeDays, observe } = options;
  const { maxPerSecond: perSecond = defaultMaxPerSecond, minAgeMs = 0, hasOwnKey = () => false } = options;
  const maxAgeMs = maxAgeDays * dayMs;
  const turn = createPace({ perSecond, time });

  /** Undefined where the tenant never had a key for the purpose. */
  async function rotateOne(candidate: Candidate, signal?: AbortSignal): Promise<Outcome | undefined> {
    if (signal?.aborted) throw cancelled(signal);
    const { tenantId, purpose, dryRun } = candidate;
    try {
      const answered = await answerTo(candidate);
      if (answered !== undefined) return { rotated: answered };
      const active = await store.active(tenantId, purpose);
      if (active === undefined && (await store.list(tenantId, purpose)).length === 0) return undefined;
      const skipped = await skippedKey(candidate, active);
      if (skipped !== undefined) return { skipped };
      if (!dryRun) return await replace(candidate, active, signal);
      const version = (await store.lastVersion(tenantId, purpose)) + 1;
      return { rotated: { tenantId, purpose, retiredKeyId: active?.keyId, keyId: undefined, version } };
    } catch (error) {
      if (!hasCode(error, "DATA_LOSS")) throw error;
      return { failed: { tenantId, purpose, keyId: candidate.dueKeyId, error } };
    }
  }

  async function skippedKey(candidate: Candidate, active: KeyRecord | undefined): Promise<SkippedKey | undefined> {
    const { tenantId, purpose, dueKeyId, force } = candidate;
    if (dueKeyId !== undefined && dueKeyId !== active?.keyId) {
      const record = await store.get(tenantId, dueKeyId);
      const reason = `is ${record?.state ?? "not there"} by now`;
      return { tenantId, purpose, keyId: dueKeyId, version: record?.version ?? 0, reason };
    }
    if (active === undefined) return undefined;
    const skipped = { tenantId, purpose, keyId: active.keyId, version: active.version };
    const activatedAt = active.activatedAt!.getTime();
    const ageMs = time.now().getTime() - activatedAt;
    // A key of a clock that was ahead is as old as nobody knows.
    if (force) return ageMs >= 0 && ageMs < minAgeMs ? { ...skipped, reason: "young" } : undefined;
    if (ageMs >= maxAgeMs) return undefined;
    return { ...skipped, reason: `not due until ${new Date(activatedAt + maxAgeMs).toISOString()}` };
  }

  async function replace(candidate: Candidate, active: KeyRecord | undefined, signal?: AbortSignal): Promise<Outcome> {
    const { tenantId, purpose, by, request, fence } = candidate;
    const startedAt = time.monotonicMs();
    const elapsed = () => (time.monotonicMs() - startedAt) / 1000;
    try {
      const expect = active ? { active: active.keyId } : "no-active";
      const handOver = active && purpose === "signing" ? handOverFrom(active) : undefined;
      const renewal: Renewal = { tenantId, purpose, expect, by, request, fence, ...(handOver && { handOver }) };
      const { keyId, version } = await keyring.renew(renewal, signal);
      observe?.("success", elapsed());
      return { rotated: { tenantId, purpose, retiredKeyId: active?.keyId, keyId, version } };
    } catch (error) {
      observe?.("failure", elapsed(), failureScope({ tenantId, error }, hasOwnKey));
      return settleFailure(candidate, active, error);
    }
  }

  function handOverFrom({ tenantId, keyId }: KeyRecord): Renewal["handOver"] {
    return handover && ((successor, activate) => handover(tenantId, keyId, successor, activate));
  }

  /** The same request may have won on another replica, or before its answer was lost. */
  async function settleFailure(candidate: Candidate, active: KeyRecord | undefined, error: unknown): Promise<Outcome> {
    const failure =
      error instanceof KmsError ? error : new KmsError("INTERNAL", "the rotation failed", { cause: error });
    if (hasCode(failure, "CANCELLED", "REQUEST_ID_REUSED", "LEASE_LOST")) throw failure;
    const answered = await answerTo(candidate).catch(() => undefined); // what failed first is what to tell
    if (answered !== undefined) return { rotated: answered };
    const { tenantId, purpose } = candidate;
    return { failed: { tenantId, purpose, keyId: active?.keyId, error: failure } };
  }

  async function answerTo({ tenantId, purpose, request }: Candidate): Promise<RotatedKey | undefined> {
    const known = request && (await store.request(tenantId, request.requestId));
    if (known === undefined) return undefined;
    refuseOtherBody(known, request!);
    for (const { keyId, retiredKeyId } of known.activated) {
      const record = await store.get(tenantId, keyId);
      if (record?.purpose === purpose) return { tenantId, purpose, retiredKeyId, keyId, version: record.version };
    }
    return undefined;
  }

  async function dueKeys({ purpose, limit = defaultRotationLimit, force, except = new Set() }: RotateDueRequest) {
    const before = new Date(time.now().getTime() + 1 - (force ? 0 : maxAgeMs));
    const { keys, total } = await store.due(before, limit + except.size, purpose);
    return { keys: keys.filter(({ keyId }) => !except.has(keyId)).slice(0, limit), total };
  }

  return {
    async rotate({ tenantId, purposes = everyPurpose, force = false, dryRun = false, requestId, by }, signal) {
      const digest = digestOf({ tenantId, purposes: [...purposes].sort(), force, dryRun });
      const request = requestId === undefined ? undefined : { requestId, digest };
      const asked = { tenantId, force, dryRun, request, by: by ?? { ...byItself, requestId: requestId ?? "" } };
      const outcomes: (Outcome | undefined)[] = [];
      for (const purpose of purposes) outcomes.push(await rotateOne({ ...asked, purpose }, signal));
      if (outcomes.some((outcome) => outcome !== undefined)) return resultOf(outcomes);
      throw new KmsError("NOT_FOUND", `tenant ${tenantId} has no ${purposes.join(" or ")} key`);
    },

    async rotateDue(request = {}, signal) {
      const { force = false, dryRun = false, by = byItself, fence } = request;
      const { keys, total } = await dueKeys(request);
      const outcomes = await eachOf(keys, dueAtOnce, async ({ tenantId, purpose, keyId }: KeyName) => {
        if (!dryRun) await turn(signal);
        return rotateOne({ tenantId, purpose, dueKeyId: keyId, force, dryRun, by, fence }, signal);
      });
      const result = resultOf(outcomes);
      return { ...result, remaining: total - result.rotated.length - result.skipped.length };
    },
  };
}

const byItself: Attribution = { actor: serviceName, requestId: "" };

function refuseOtherBody(known: RequestRecord, { requestId, digest }: Request): void {
  if (known.digest === digest) return;
  throw new KmsError("REQUEST_ID_REUSED", `request_id ${requestId} was used with another body`);
}

function digestOf(body: object): string {
  return createHash("sha256").update(JSON.stringify(body)).digest("hex");
}
