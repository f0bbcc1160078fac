/**
 * What every call that has to do with keys has in common: nothing is done with a key that could not be audited, and what is refused
 * is audited, once, by its code. A handler itself says which keys it used, because only it knows.
 */
import type { CallContext } from "../call/context.ts";
import { type Answer, andThen } from "../call/maybe-promise.ts";
import type { AuditAction } from "../store/audit-store.ts";
import type { AuditObserver, Named } from "./observer.ts";

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
  observer: AuditObserver,
): Handlers {
  const names = Object.keys(handlers) as (keyof Handlers)[];
  return Object.fromEntries(names.map((name) => [name, audited(calls[name], handlers[name], observer)])) as Handlers;
}

function audited<Request, Response>(
  { action, kind, named }: Audited<Request>,
  handler: Handler<Request, Response>,
  observer: AuditObserver,
): Handler<Request, Response> {
  function refuse(request: Request, call: CallContext, error: unknown): never {
    observer.failed({ actor: call.caller.name, action, ...named(request) }, error);
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

  function look(request: Request, call: CallContext, answer: Response): Response {
    const { tenantId = "" } = named(request);
    if (action !== undefined) observer.used(call.caller.name, action, tenantId, "", undefined, 1);
    return answer;
  }
}
