/** What becomes of keys, for the audit trail and for health: uses, refusals, and the damage and outages that calls meet. */
import type { Alarm } from "../alarm.ts";
import { KmsError, type KmsErrorCode } from "../errors.ts";
import { checkKeyId, tenantIdPattern } from "../call/ids.ts";
import type { Rewrap, RewrapResult } from "../keys/rewrapping.ts";
import type { Rotation, RotationResult } from "../keys/rotation/rotation.ts";
import type { Attribution, AuditAction } from "../store/audit-store.ts";
import type { AuditTrail } from "./trail.ts";

export interface AuditObserver {
  /** AUDIT_UNAVAILABLE while uses cannot be audited. */
  check: AuditTrail["check"];
  used: AuditTrail["used"];
  /** Told of each failure. Without an action it is in no trail, but damage and outages are noticed anyway. */
  failed(failure: Failure, error: unknown): void;
}

/** An observer that tells nobody: handlers apart from a service have no trail. */
export const unobserved: AuditObserver = { check() {}, used() {}, failed() {} };

export interface Failure extends Named {
  actor: string;
  action: AuditAction | undefined;
  /** The rule that let the caller try. */
  rule?: string | undefined;
}

/** Tenant and key as a request names them: unchecked. */
export interface Named {
  tenantId?: string;
  keyId?: string | undefined;
}

export interface AuditObserverParts {
  audit: Pick<AuditTrail, "check" | "used" | "refused">;
  alarm: Pick<Alarm, "suspect" | "lost">;
  dataLoss: { add(count: number): void };
}

/** Nobody was refused a key: the caller left or comes too often, there was no room, the fault is ours, or the trail itself is the reason. */
const noRefusals: ReadonlySet<KmsErrorCode> = new Set([
  "CANCELLED",
  "DEADLINE_EXCEEDED",
  "OVERLOADED",
  "RATE_LIMITED",
  "INTERNAL",
  "AUDIT_UNAVAILABLE",
]);

export function createAuditObserver({ audit, alarm, dataLoss }: AuditObserverParts): AuditObserver {
  return {
    check: audit.check,
    used: audit.used,
    failed({ actor, action, tenantId = "", keyId = "", rule }, error) {
      if (!(error instanceof KmsError)) return;
      const { code } = error;
      if (code === "STORE_UNAVAILABLE" || code === "AUDIT_UNAVAILABLE") alarm.suspect();
      if (code === "DATA_LOSS") {
        dataLoss.add(1);
        alarm.lost(error.message);
      }
      if (action === undefined || noRefusals.has(code)) return;
      const tenant = tenantIdPattern.test(tenantId) ? tenantId : "";
      const allowedBy = code === "PERMISSION_DENIED" ? undefined : rule;
      audit.refused(actor, action, tenant, wellFormedKey(keyId), code, 1, allowedBy);
    },
  };
}

function wellFormedKey(keyId: string): string {
  try {
    return keyId === "" ? "" : checkKeyId(keyId);
  } catch {
    return "";
  }
}

/** A rotation whose keys fail one by one and not as a call: the observer is told of each, whoever rotates. */
export function observedRotation(
  rotation: Rotation,
  actor: string,
  observer: AuditObserver,
  rule?: string | undefined,
): Rotation {
  const tell = (result: RotationResult): RotationResult => {
    for (const failure of result.failed) observer.failed({ actor, action: "rotate", rule, ...failure }, failure.error);
    return result;
  };
  return {
    rotate: async (...given) => tell(await rotation.rotate(...given)),
    rotateDue: async (...given) => tell(await rotation.rotateDue(...given)),
  };
}

/**
 * A re-wrapping whose keys fail one by one: damage is told to the observer. What else fails is no refusal of a use, and the answer says it.
 * `moved` is told when fewer keys remain.
 */
export function observedRewrap({ rewrap }: Rewrap, observer: AuditObserver, moved: () => void): Rewrap {
  const tell = ({ failed }: RewrapResult, { actor, rule }: Attribution) => {
    for (const { key, error } of failed.filter(({ error }) => error.code === "DATA_LOSS")) {
      const named = { tenantId: key?.tenantId ?? "", keyId: key?.keyId };
      observer.failed({ actor, action: "rewrap", rule, ...named }, error);
    }
  };
  return {
    async rewrap(request, signal) {
      const result = await rewrap(request, signal);
      tell(result, request.by);
      if (!request.dryRun && (result.keys > 0 || result.storeKey)) moved();
      return result;
    },
  };
}
