/**
 * What every call that has to do with keys has in common: nothing is done with a key that could not be audited, and what is refused
 * is audited, once, by its code. A handler itself says which keys it used, because only it knows.
 */
import type { CallContext } from "../call/context.ts";
import { type MaybePromise, andThen } from "../call/maybe-promise.ts";
import { hasCode } from "../errors.ts";
import type { AuditAction } from "../store/audit-store.ts";
import type { AuditObserver, Named } from "./observer.ts";
import { ruleOf } from "./rule-of.ts";

/** How a call stands in the trail. */
export interface Audited<Request> {
  /** Undefined for a call that is in no trail, */
  action: AuditAction | undefined;
  /** but for callers that may not make it, whose row has this. */
  denied?: AuditAction;
  /**
   * Who writes of its success, and whether it may happen while uses cannot be written. A `use` of a secret key may not, and its handler
   * tells which key. A `change` has its row in the transaction that makes it. A `look` is counted here.
   */
  kind: "use" | "change" | "look";
  named(request: Request): Named;
}

/** Returns how a call stands that uses no secret key and changes none: only that a caller may not make it is in the trail. */
export function notAudited(denied: AuditAction) {
  const named = ({ tenantId }: { tenantId: string }): Named => ({ tenantId });
  return { action: undefined, denied, kind: "look", named } as const;
}

/** `In` and `Out` are known to the types of a service's handlers; a list of several has the default. */
export type Handler<In = never, Out = unknown> = (request: In, call: CallContext) => MaybePromise<Out>;

/** The handler of a call as it stands in the trail. */
export function audited<In, Out>(
  { action, denied, kind, named }: Audited<In>,
  handler: Handler<In, Out>,
  observer: AuditObserver,
): Handler<In, Out> {
  function refuse(request: In, call: CallContext, error: unknown): never {
    const { caller } = call;
    const what = named(request);
    const told = hasCode(error, "PERMISSION_DENIED") ? (action ?? denied) : action;
    const rule = action && ruleOf(caller, action, what.tenantId ?? "");
    observer.failed({ actor: caller.name, action: told, rule, ...what }, error);
    throw error;
  }

  return (request, call) => {
    try {
      if (kind === "use") observer.check();
      const answer = handler(request, call);
      const seen = kind === "look" ? andThen(answer, (value) => look(request, call, value)) : answer;
      return seen instanceof Promise ? seen.catch((error) => refuse(request, call, error)) : seen;
    } catch (error) {
      return refuse(request, call, error);
    }
  };

  function look(request: In, call: CallContext, answer: Out): Out {
    const { tenantId = "" } = named(request);
    if (action === undefined) return answer;
    observer.used(call.caller.name, action, tenantId, "", undefined, 1, ruleOf(call.caller, action, tenantId));
    return answer;
  }
}
