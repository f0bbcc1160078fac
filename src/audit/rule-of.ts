/** The rule of the policy that let a caller do what a row of the audit trail tells of. */
import type { Caller } from "../call/context.ts";
import { tenantIdPattern } from "../call/ids.ts";
import { type Role, roleOf } from "../call/roles.ts";
import type { AuditAction } from "../store/audit-store.ts";

/** What the service does by itself, or as part of what a caller does, which the caller's row of that tells. */
type NobodysAction =
  | (
      | "create"
      | "retire"
      | "destroy"
      | "restore"
      | "request_destruction"
      | "cancel_destruction_request"
      | "finish_upgrade"
      | "policy_loaded"
      | "set_log_level"
      | "profile_cpu"
    )
  // Only of callers that may not, so that no rule let them.
  | ("verify_span" | "get_public_keys" | "read_log" | "status" | "validate");

const roleOfAction: Readonly<Partial<Record<AuditAction, Role>>> = {
  generate_data_key: roleOf.generateDataKey,
  decrypt_data_key: roleOf.decryptDataKey,
  encrypt_pii: roleOf.encryptPii,
  decrypt_pii: roleOf.decryptPii,
  re_encrypt_pii: roleOf.reEncryptPii,
  sign_span: roleOf.signSpan,
  rotate: roleOf.rotate,
  list_keys: roleOf.listKeys,
  disable: roleOf.disableKey,
  enable: roleOf.enableKey,
  mark_compromised: roleOf.markKeyCompromised,
  schedule_destruction: roleOf.scheduleKeyDestruction,
  cancel_destruction: roleOf.cancelKeyDestruction,
  rewrap: roleOf.rewrapKeys,
  accept_rollback: roleOf.acceptRollback,
  list_audit_events: roleOf.listAuditEvents,
  verify_audit: roleOf.verifyAudit,
} satisfies Record<Exclude<AuditAction, NobodysAction>, Role>;

/** Undefined where no rule did, and where there are none. `tenantId` is unchecked, and empty for all tenants. */
export function ruleOf({ rule }: Pick<Caller, "rule">, action: AuditAction, tenantId: string): string | undefined {
  const role = roleOfAction[action];
  if (role === undefined) return undefined;
  if (tenantId === "") return rule(role);
  return tenantIdPattern.test(tenantId) ? rule(role, tenantId) : undefined;
}
