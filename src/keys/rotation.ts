/**
 * Rotation: a new ACTIVE version where the present one is old, absent or to be replaced. The old one stays and opens.
 * Each key succeeds, is skipped or fails by itself. A request id makes a retry give the first answer.
 */
import { createHash } from "node:crypto";
import { KmsError } from "../errors.ts";
import { cancelled } from "../provider/provider.ts";
import type { Activation, RequestRecord, Store } from "../store/store.ts";
import { type KeyRecord, type Purpose, purposes as everyPurpose } from "./record.ts";

export interface RotateRequest {
  tenantId: string;
  /** Both, unless given. A purpose for which the tenant never had a key is passed over. */
  purposes?: readonly Purpose[];
  /** Rotates a key that is not due. */
  force?: boolean;
  /** Says what would be done; changes nothing and calls no provider. */
  dryRun?: boolean;
  /** A second request with this id gets the answer of the first; REQUEST_ID_REUSED where it asks for something else. */
  requestId?: string;
}

export interface RotateDueRequest {
  /** Both, unless given. */
  purpose?: Purpose;
  /** The oldest keys first, at most this many. */
  limit?: number;
  /** Every ACTIVE key is due. */
  force?: boolean;
  dryRun?: boolean;
}

export interface RotatedKey {
  tenantId: string;
  purpose: Purpose;
  /** Undefined where no key was ACTIVE. */
  retiredKeyId: string | undefined;
  /** Undefined in a dry run. */
  keyId: string | undefined;
  version: number;
}

export interface RotationResult {
  rotated: RotatedKey[];
  skipped: { tenantId: string; purpose: Purpose; keyId: string; version: number; reason: string }[];
  /** CONFLICT: another rotation of the key won. */
  failed: { tenantId: string; purpose: Purpose; error: KmsError }[];
  /** Keys that were due and were not rotated by this call; in a dry run, those beyond `limit`. */
  remaining: number;
}

export interface Rotation {
  /** NOT_FOUND for a tenant without keys. */
  rotate(request: RotateRequest, signal?: AbortSignal): Promise<RotationResult>;
  rotateDue(request?: RotateDueRequest, signal?: AbortSignal): Promise<RotationResult>;
}

export interface RotationOptions {
  store: Store;
  clock: () => Date;
  /** From this age on a key is due. */
  maxAgeMs: number;
  renew(wish: Omit<Activation, "keyId" | "at">, signal?: AbortSignal): Promise<KeyRecord>;
  observe?: ((outcome: "success" | "failure", seconds: number) => void) | undefined;
}

export const defaultRotationLimit = 100;

type Request = NonNullable<Activation["request"]>;

interface Candidate {
  tenantId: string;
  purpose: Purpose;
  /** All of the tenant and purpose, oldest first, at least one. */
  versions: KeyRecord[];
  force: boolean;
  dryRun: boolean;
  request: Request | undefined;
}

export function createRotation({ store, clock, maxAgeMs, renew, observe }: RotationOptions): Rotation {
  async function rotateOne(candidate: Candidate, result: RotationResult, signal?: AbortSignal): Promise<void> {
    const { tenantId, purpose, versions, request } = candidate;
    if (signal?.aborted) throw cancelled(signal);
    const answered = await answerTo(candidate);
    if (answered !== undefined) {
      result.rotated.push(answered);
      return;
    }
    const active = versions.find(({ state }) => state === "ACTIVE");
    const dueAt = active && active.activatedAt!.getTime() + maxAgeMs;
    if (active !== undefined && !candidate.force && clock().getTime() < dueAt!) {
      const reason = `not due until ${new Date(dueAt!).toISOString()}`;
      result.skipped.push({ tenantId, purpose, keyId: active.keyId, version: active.version, reason });
      return;
    }
    const planned = { tenantId, purpose, retiredKeyId: active?.keyId };
    if (candidate.dryRun) {
      result.rotated.push({ ...planned, keyId: undefined, version: versions.at(-1)!.version + 1 });
      return;
    }
    const startedAt = performance.now();
    const elapsed = () => (performance.now() - startedAt) / 1000;
    try {
      const expect = active ? { active: active.keyId } : "no-active";
      const by = { actor: "fluo-kms", requestId: request?.requestId ?? "" };
      const { keyId, version } = await renew({ tenantId, purpose, expect, by, request }, signal);
      result.rotated.push({ ...planned, keyId, version });
      observe?.("success", elapsed());
    } catch (error) {
      observe?.("failure", elapsed());
      await settleFailure(candidate, result, error);
    }
  }

  /** The same request may have won on another replica, or before its answer was lost. */
  async function settleFailure(candidate: Candidate, result: RotationResult, error: unknown): Promise<void> {
    const { tenantId, purpose } = candidate;
    const failure =
      error instanceof KmsError ? error : new KmsError("INTERNAL", "the rotation failed", { cause: error });
    if (failure.code === "CANCELLED" || failure.code === "REQUEST_ID_REUSED") throw failure;
    const answered = await answerTo({ ...candidate, versions: await store.list(tenantId, purpose) });
    if (answered !== undefined) result.rotated.push(answered);
    else result.failed.push({ tenantId, purpose, error: failure });
  }

  async function answerTo({ tenantId, purpose, versions, request }: Candidate): Promise<RotatedKey | undefined> {
    const known = request && (await store.request(tenantId, request.requestId));
    if (known === undefined) return undefined;
    refuseOtherBody(known, request!);
    for (const { keyId, retiredKeyId } of known.activated) {
      const record = versions.find((version) => version.keyId === keyId);
      if (record !== undefined) return { tenantId, purpose, retiredKeyId, keyId, version: record.version };
    }
    return undefined;
  }

  return {
    async rotate({ tenantId, purposes = everyPurpose, force = false, dryRun = false, requestId }, signal) {
      const digest = digestOf({ tenantId, purposes: [...purposes].sort(), force, dryRun });
      const request = requestId === undefined ? undefined : { requestId, digest };
      const result = emptyResult();
      let found = false;
      for (const purpose of purposes) {
        const versions = await store.list(tenantId, purpose);
        if (versions.length === 0) continue;
        found = true;
        await rotateOne({ tenantId, purpose, versions, force, dryRun, request }, result, signal);
      }
      if (!found) throw new KmsError("NOT_FOUND", `tenant ${tenantId} has no ${purposes.join(" or ")} key`);
      return result;
    },

    async rotateDue({ purpose, limit = defaultRotationLimit, force = false, dryRun = false } = {}, signal) {
      const before = force ? clock().getTime() : clock().getTime() - maxAgeMs;
      const due = await store.due(new Date(before + 1), limit, purpose);
      const result = emptyResult();
      for (const record of due.keys) {
        const versions = await store.list(record.tenantId, record.purpose);
        const candidate = { tenantId: record.tenantId, purpose: record.purpose, versions, force, dryRun };
        await rotateOne({ ...candidate, request: undefined }, result, signal);
      }
      result.remaining = due.total - result.rotated.length - result.skipped.length;
      return result;
    },
  };
}

function emptyResult(): RotationResult {
  return { rotated: [], skipped: [], failed: [], remaining: 0 };
}

function refuseOtherBody(known: RequestRecord, { requestId, digest }: Request): void {
  if (known.digest === digest) return;
  throw new KmsError("REQUEST_ID_REUSED", `request_id ${requestId} was used with another body`);
}

function digestOf(body: object): string {
  return createHash("sha256").update(JSON.stringify(body)).digest("hex");
}
