/** What becomes of keys, for the audit trail and for health: uses, refusals, and the damage and outages that calls meet. */
import type { Alarm } from "../alarm.ts";
import { KmsError, type KmsErrorCode } from "../errors.ts";
import type { Caller } from "../call/context.ts";
import { checkKeyId, tenantIdPattern } from "../call/ids.ts";
import type { Rewrap, RewrapResult } from "../keys/rewrapping.ts";
import type { Rotation, RotationResult } from "../keys/rotation/rotation.ts";
import type { Attribution, AuditAction } from "../store/audit-store.ts";
import type { Purpose } from "../store/key-record.ts";
import type { Tally } from "../telemetry/tally.ts";
import { ruleOf } from "./rule-of.ts";
import type { AuditTrail } from "./trail.ts";

export interface AuditObserver {
  /** AUDIT_UNAVAILABLE while uses cannot be audited. */
  check: AuditTrail["check"];
  /** Writes the uses of a call to the trail, and counts its items in the metrics. */
  used(of: UseKind, caller: Caller, uses: Uses): void;
  /** Told of each failure. Without an action it is in no trail, but damage and outages are noticed anyway. */
  failed(failure: Failure, error: unknown): void;
}

/** Properties that all uses of a method have in common. */
export interface UseKind {
  action: AuditAction;
  /** Undefined for a look, which uses no key. */
  purpose?: Purpose;
  /** Label under which the items of its calls are counted; undefined if no metric counts them. */
  counted?: ItemLabel;
}

/** Uses of keys by one call. */
export interface Uses {
  /** Tenant that the caller was authorized for; empty for all. */
  tenantId: string;
  uses: readonly { keyId: string; count: number }[];
  /** Items that were refused, though the call succeeds. `keyId` is empty if the item names no key. */
  refusals?: readonly { keyId: string; error: unknown }[];
  /** Spans, or PII fields, for the metrics. */
  items?: number;
}

type SpanMode = "individual" | "log";
type PiiOperation = "encrypt" | "decrypt" | "re_encrypt";
export type ItemLabel = SpanMode | PiiOperation;

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
  instruments: {
    dataLoss: { add(count: number): void };
    spansSigned: Tally<SpanMode>;
    piiFields: Tally<PiiOperation>;
  };
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

export function createAuditObserver({ audit, alarm, instruments }: AuditObserverParts): AuditObserver {
  const { dataLoss, spansSigned, piiFields } = instruments;

  function failed({ actor, action, tenantId = "", keyId = "", rule }: Failure, error: unknown): void {
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
  }

  return {
    check: audit.check,
    used({ action, purpose, counted }, caller, { tenantId, uses, refusals = [], items = 0 }) {
      const actor = caller.name;
      const rule = ruleOf(caller, action, tenantId);
      for (const { keyId, count } of uses) audit.used(actor, action, tenantId, keyId, purpose, count, rule);
      for (const { keyId, error } of refusals) failed({ actor, action, tenantId, keyId, rule }, error);
      if (counted === "individual" || counted === "log") spansSigned.add(items, counted);
      else if (counted !== undefined) piiFields.add(items, counted);
    },
    failed,
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
