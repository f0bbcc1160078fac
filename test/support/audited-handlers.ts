/** Handlers of a service as its callers meet them: each as it stands in the audit trail, and without the uses that it tells the trail. */
import { type Audited, audited, type Handler, type Used } from "../../src/audit/audited.ts";
import type { AuditObserver } from "../../src/audit/observer.ts";
import { andThen } from "../../src/call/maybe-promise.ts";
import type { Methods } from "../../src/service/method.ts";

export type Answering<Handlers> = {
  [Name in keyof Handlers]: Handlers[Name] extends Handler<infer In, infer Out>
    ? Handler<In, Out extends Used<infer Answer> ? Answer : Out>
    : never;
};

export function auditedHandlers<Handlers extends { [Name in keyof Handlers]: Handler }>(
  handlers: Handlers,
  methods: Methods<Handlers>,
  observer: AuditObserver,
): Answering<Handlers> {
  const names = Object.keys(handlers) as (keyof Handlers)[];
  const each = names.map((name) => [name, audited(methods[name].audit, handlers[name] as Handler, observer)]);
  return Object.fromEntries(each) as Answering<Handlers>;
}

/** Handlers that say of no use of a key. */
export function withoutUses<Handlers>(
  handlers: Partial<Answering<Handlers>>,
  methods: Methods<Handlers>,
): Partial<Handlers> {
  const using = (handler: Handler): Handler => {
    const used = (answer: unknown): Used<unknown> => ({ answer, tenantId: "", uses: [] });
    return (request, call) => andThen(handler(request, call), used);
  };
  const each = Object.entries(handlers).map(([name, handler]) => {
    const { audit } = methods[name as keyof Handlers] as { audit: Audited<never> };
    return [name, audit.kind === "use" ? using(handler as Handler) : handler];
  });
  return Object.fromEntries(each) as Partial<Handlers>;
}
