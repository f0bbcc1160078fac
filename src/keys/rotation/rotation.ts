/** What can be asked of a rotation, and what it answers: each key is rotated, skipped or failed by itself. */
import type { KmsError } from "../../errors.ts";
import type { Attribution } from "../../store/audit-store.ts";
import type { Fence } from "../../store/lease-store.ts";
import type { Activate } from "../create.ts";
import type { UsableSigningKey } from "../usable-key.ts";
import type { KeyRecord, Purpose } from "../../store/key-record.ts";

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
  /** The service itself, unless given. */
  by?: Attribution;
}

export interface RotateDueRequest {
  /** Both, unless given. */
  purpose?: Purpose;
  /** The oldest keys first, at most this many. */
  limit?: number;
  /** Every ACTIVE key is due. */
  force?: boolean;
  dryRun?: boolean;
  /** Ids of keys that are passed over, so that those that failed do not stand in the way of the others. They count as remaining. */
  except?: ReadonlySet<string>;
  /** Fence of the lease under which this is done. Once the lease is over, nothing more is rotated, and this throws LEASE_LOST. */
  fence?: Fence;
  /** The service itself, unless given. */
  by?: Attribution;
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

export interface SkippedKey {
  tenantId: string;
  purpose: Purpose;
  keyId: string;
  version: number;
  reason: string;
}

export interface FailedRotation {
  tenantId: string;
  purpose: Purpose;
  /** The key that stays ACTIVE; undefined where there is none or its record cannot be read. */
  keyId: string | undefined;
  error: KmsError;
}

export interface RotationResult {
  rotated: RotatedKey[];
  skipped: SkippedKey[];
  /** CONFLICT: another rotation of the key won. DATA_LOSS: its record is damaged. */
  failed: FailedRotation[];
  /** Keys that were due and were not rotated by this call; in a dry run, those beyond `limit`. */
  remaining: number;
}

export interface Rotation {
  /** NOT_FOUND for a tenant without keys. */
  rotate(request: RotateRequest, signal?: AbortSignal): Promise<RotationResult>;
  rotateDue(request?: RotateDueRequest, signal?: AbortSignal): Promise<RotationResult>;
}

/**
 * Activates the successor of a tenant's signing key, with its handover in the tenant's open log, or with "no-log". CONFLICT if the old key is
 * not ACTIVE any more.
 */
export type Handover = (
  tenantId: string,
  fromKeyId: string,
  successor: UsableSigningKey,
  activate: Activate,
) => Promise<KeyRecord>;

/** What became of one key. */
export type Outcome = { rotated: RotatedKey } | { skipped: SkippedKey } | { failed: FailedRotation };

export function resultOf(outcomes: readonly (Outcome | undefined)[]): RotationResult {
  const result: RotationResult = { rotated: [], skipped: [], failed: [], remaining: 0 };
  for (const outcome of outcomes) {
    if (outcome === undefined) continue;
    if ("rotated" in outcome) result.rotated.push(outcome.rotated);
    else if ("skipped" in outcome) result.skipped.push(outcome.skipped);
    else result.failed.push(outcome.failed);
  }
  return result;
}
