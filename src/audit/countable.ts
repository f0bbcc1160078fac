/**
 * Decides which refusals may be counted without the names in them, because anybody could have made these up. Action and code alone decide: a
 * look-up would be a load that strangers cause, and its time would tell them what there is.
 */
import type { AuditAction } from "../store/audit-store.ts";

/** Uses and looks. An action that is not here is an administrator's. */
const everybodys: ReadonlySet<AuditAction> = new Set([
  "generate_data_key",
  "decrypt_data_key",
  "encrypt_pii",
  "decrypt_pii",
  "re_encrypt_pii",
  "sign_span",
  "verify_span",
  "get_public_keys",
  "read_log",
  "list_keys",
  "list_audit_events",
  "verify_audit",
  "status",
  "validate",
]);

/** The key that was named is none of the tenant's, whatever the action. */
const ofUnknownKeys: ReadonlySet<string> = new Set(["NOT_FOUND", "CIPHERTEXT_REJECTED"]);

/** The tenant that was named is not the caller's, or may be anyone's: a malformed request is refused before anybody looks. */
const ofAnyTenants: ReadonlySet<string> = new Set(["PERMISSION_DENIED", "INVALID_ARGUMENT"]);

/** `outcome` is the code of the refusal. A refusal that is not countable has a row with its names, however many there are. */
export function isCountable(action: AuditAction, outcome: string): boolean {
  return ofUnknownKeys.has(outcome) || (ofAnyTenants.has(outcome) && everybodys.has(action));
}
