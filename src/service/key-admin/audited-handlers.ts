/** KeyAdminService's calls in the audit trail: the store writes of each change, and here it is written who looked and who was refused. */
import { auditedHandlers } from "../../audit/audited.ts";
import type { AuditObserver, Named } from "../../audit/observer.ts";
import type { KeyAdminHandlers } from "./handlers.ts";

const named = (request: Named) => request;

export function auditedKeyAdmin(handlers: KeyAdminHandlers, observer: AuditObserver): KeyAdminHandlers {
  return auditedHandlers<KeyAdminHandlers>(
    handlers,
    {
      listKeys: { action: "list_keys", kind: "look", named },
      disableKey: { action: "disable", kind: "change", named },
      enableKey: { action: "enable", kind: "change", named },
      markKeyCompromised: { action: "mark_compromised", kind: "change", named },
      scheduleKeyDestruction: { action: "schedule_destruction", kind: "change", named },
      cancelKeyDestruction: { action: "cancel_destruction", kind: "change", named },
      rewrapKeys: { action: "rewrap", kind: "change", named: () => ({}) },
      listAuditEvents: { action: "list_audit_events", kind: "look", named },
      verifyAudit: { action: "verify_audit", kind: "look", named: () => ({}) },
    },
    observer,
  );
}
