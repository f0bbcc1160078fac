/**
 * What every handler that has to do with keys has in common: nothing is done with a key that could not be audited, and what is refused
 * is audited, once, by its code. A handler itself says which keys it used, because only it knows.
 */
import { KmsError, type KmsErrorCode } from "../errors.ts";
import type { Rotation, RotationResult } from "../keys/rotation/rotation.ts";
import type { AuditAction } from "../store/audit-store.ts";
import { type Answer, andThen } from "../call/maybe-promise.ts";
import type { AuditTrail } from "../audit/trail.ts";
import type { CallContext } from "../call/context.ts";
import type { Alarm } from "../alarm.ts";
import { checkKeyId, tenantIdPattern } from "../call/ids.ts";

/** Sees what becomes of keys: for the audit trail, and for those who keep the service well. */
export interface Witness {
  /** AUDIT_UNAVAILABLE while uses cannot be audited. */
  check: AuditTrail["check"];
  used: AuditTrail["used"];
  /** Told of each failure. Without an action it is in no trail, but damage and outages are noticed anyway. */
  failed(failure: Failure, error: unknown): void;
}

/** For handlers apart from a service, which has a trail. */
export const unwitnessed: Witness = { check() {}, used() {}, failed() {} };

export interface Failure extends Named {
  actor: string;
  action: AuditAction | undefined;
}

/** As a request names them: unchecked. */
export interface Named {
  tenantId?: string;
  keyId?: string | undefined;
}

export interface WitnessParts {
  audit: Pick<AuditTrail, "check" | "used" | "refused">;
  alarm: Pick<Alarm, "suspect" | "lost">;
  dataLoss: { add(count: number): void };
}

/** Nobody was refused a key: the caller left, there was no room, the fault is ours, or the trail itself is the reason. */
const noRefusals: ReadonlySet<KmsErrorCode> = new Set([
  "CANCELLED",
  "DEADLINE_EXCEEDED",
  "OVERLOADED",
  "INTERNAL",
  "AUDIT_UNAVAILABLE",
]);

export function createWitness({ audit, alarm, dataLoss }: WitnessParts): Witness {
  return {
    check: audit.check,
    used: audit.used,
    failed({ actor, action, tenantId = "", keyId = "" }, error) {
      if (!(error instanceof KmsError)) return;
      const { code } = error;
      if (code === "STORE_UNAVAILABLE" || code === "AUDIT_UNAVAILABLE") alarm.suspect();
      if (code === "DATA_LOSS") {
        dataLoss.add(1);
        alarm.lost(error.message);
      }
      if (action === undefined || noRefusals.has(code)) return;
      // The key of a ciphertext that is rejected may be made up: a row for each would be the forger's to fill the trail with.
      const key = code === "CIPHERTEXT_REJECTED" ? "" : wellFormedKey(keyId);
      audit.refused(actor, action, tenantIdPattern.test(tenantId) ? tenantId : "", key, code);
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

/** How a call stands in the trail. */
export interface Audited<Request> {
  /** Undefined for a call that is in no trail. */
  action: AuditAction | undefined;
  /**
   * Who writes of its success, and whether it may happen while uses cannot be written. A `use` of a secret key may not, and its handler
   * tells which key. A `change` has its row in the transaction that makes it. A `look` is counted here.
   */
  kind: "use" | "change" | "look";
  named(request: Request): Named;
}

type Handler<Request, Response> = (request: Request, call: CallContext) => Answer<Response>;

/** The handlers of a service, each as it stands in the trail. */
export function auditedHandlers<Handlers extends { [Name in keyof Handlers]: Handler<never, unknown> }>(
  handlers: Handlers,
  calls: { readonly [Name in keyof Handlers]: Audited<Parameters<Handlers[Name]>[0]> },
  witness: Witness,
): Handlers {
  const names = Object.keys(handlers) as (keyof Handlers)[];
  return Object.fromEntries(names.map((name) => [name, audited(calls[name], handlers[name], witness)])) as Handlers;
}

function audited<Request, Response>(
  { action, kind, named }: Audited<Request>,
  handler: Handler<Request, Response>,
  witness: Witness,
): Handler<Request, Response> {
  function refuse(request: Request, call: CallContext, error: unknown): never {
    witness.failed({ actor: call.caller.name, action, ...named(request) }, error);
    throw error;
  }

  return (request, call) => {
    try {
      if (kind === "use") witness.check();
      const answer = handler(request, call);
      const seen = kind === "look" ? andThen(answer, (value) => look(request, call, value)) : answer;
      return seen instanceof Promise ? seen.catch((error) => refuse(request, call, error)) : seen;
    } catch (error) {
      return refuse(request, call, error);
    }
  };

  function look(request: Request, call: CallContext, answer: Response): Response {
    const { tenantId = "" } = named(request);
    if (action !== undefined) witness.used(call.caller.name, action, tenantId, "", undefined, 1);
    return answer;
  }
}

/** A rotation whose keys fail one by one and not as a call: each is told to the witness, whoever rotates. */
export function witnessedRotation(rotation: Rotation, actor: string, witness: Witness): Rotation {
  const tell = (result: RotationResult): RotationResult => {
    for (const failure of result.failed) witness.failed({ actor, action: "rotate", ...failure }, failure.error);
    return result;
  };
  return {
    rotate: async (...given) => tell(await rotation.rotate(...given)),
    rotateDue: async (...given) => tell(await rotation.rotateDue(...given)),
  };
}
