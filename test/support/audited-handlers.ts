/** Handlers of a service as its callers meet them: each as it stands in the audit trail. */
import { audited, type Handler } from "../../src/audit/audited.ts";
import type { AuditObserver } from "../../src/audit/observer.ts";
import type { Methods } from "../../src/service/method.ts";

export function auditedHandlers<Handlers extends { [Name in keyof Handlers]: Handler }>(
  handlers: Handlers,
  methods: Methods<Handlers>,
  observer: AuditObserver,
): Handlers {
  const names = Object.keys(handlers) as (keyof Handlers)[];
  const each = names.map((name) => [name, audited(methods[name].audit, handlers[name] as Handler, observer)]);
  return Object.fromEntries(each) as Handlers;
}
