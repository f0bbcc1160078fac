/**
 * The audited form of a handler. No key is used while uses cannot be audited; uses and looks are written once the handler has answered; a
 * refusal is written once, by its code.
 */
import type { CallContext } from "../call/context.ts";
import type { MaybePromise } from "../call/maybe-promise.ts";
import { hasCode } from "../errors.ts";
import type { AuditAction } from "../store/audit-store.ts";
import type { Purpose } from "../store/key-record.ts";
import type { AuditObserver, Named, UseKind, Uses } from "./observer.ts";
import { ruleOf } from "./rule-of.ts";

/** How a call stands in the trail. */
export type Audited<Request> = AuditedUse<Request> | AuditedOther<Request>;

/** A call that uses secret keys: its handler returns {@link Used}. */
export interface AuditedUse<Request> extends UseKind {
  kind: "use";
  purpose: Purpose;
  named(request: Request): Named;
}

/** A `change`, whose row is in the transaction that makes it, or a `look`, which is written here. */
export interface AuditedOther<Request> {
  kind: "change" | "look";
  /** Undefined for a call that is in no trail, */
  action: AuditAction | undefined;
  /** but for callers that may not make it, whose row has this. */
  denied?: AuditAction;
  named(request: Request): Named;
}

/** The answer of a call, and its uses of keys. */
export interface Used<Out> extends Uses {
  answer: Out;
}

/** Returns how a call stands that uses no secret key and changes none: only that a caller may not make it is in the trail. */
export function notAudited(denied: AuditAction) {
  const named = ({ tenantId }: { tenantId: string }): Named => ({ tenantId });
  return { action: undefined, denied, kind: "look", named } as const;
}

/** `In` and `Out` are known to the types of a service's handlers; a list of several has the default. */
export type Handler<In = never, Out = unknown> = (request: In, call: CallContext) => MaybePromise<Out>;

type AnswerOf<Out> = Out extends Used<infer Answer> ? Answer : Out;

/** Returns the audited form of a handler. */
export function audited<In, Out>(
  audit: Audited<In>,
  handler: Handler<In, Out>,
  observer: AuditObserver,
): Handler<In, AnswerOf<Out>> {
  const { kind, action, named } = audit;

  function written(request: In, { caller }: CallContext, value: Out): AnswerOf<Out> {
    if (kind === "use") {
      const used = value as Used<AnswerOf<Out>>;
      observer.used(audit, caller, used);
      return used.answer;
    }
    if (kind === "look" && action !== undefined) {
      const { tenantId = "" } = named(request);
      observer.used({ action }, caller, { tenantId, uses: [{ keyId: "", count: 1 }] });
    }
    return value as AnswerOf<Out>;
  }

  function refuse(request: In, { caller }: CallContext, error: unknown): never {
    const what = named(request);
    const denied = kind === "use" ? undefined : audit.denied;
    const told = hasCode(error, "PERMISSION_DENIED") ? (action ?? denied) : action;
    const rule = action && ruleOf(caller, action, what.tenantId ?? "");
    observer.failed({ actor: caller.name, action: told, rule, ...what }, error);
    throw error;
  }

  return (request, call) => {
    try {
      if (kind === "use") observer.check();
      const value = handler(request, call);
      if (!(value instanceof Promise)) return written(request, call, value);
      return value.then(
        (late) => written(request, call, late),
        (error) => refuse(request, call, error),
      );
    } catch (error) {
      return refuse(request, call, error);
    }
  };
}
