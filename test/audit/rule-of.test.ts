/** By which role each action of the trail was allowed. */
import { expect, it } from "vitest";
import { ruleOf } from "../../src/audit/rule-of.ts";
import type { AuditAction } from "../../src/store/audit-store.ts";

const rule = (role: string, tenantId = "all") => `${role} of ${tenantId}`;

const roles: Partial<Record<AuditAction, string>> = {
  generate_data_key: "generate-data-key",
  decrypt_data_key: "decrypt-data-key",
  encrypt_pii: "encrypt",
  decrypt_pii: "decrypt",
  re_encrypt_pii: "re-encrypt",
  sign_span: "sign",
  rotate: "operate",
  list_keys: "status",
  disable: "key-admin",
  enable: "key-admin",
  mark_compromised: "mark-compromised",
  schedule_destruction: "destroy",
  cancel_destruction: "key-admin",
  rewrap: "key-admin",
  list_audit_events: "audit",
  verify_audit: "audit",
};

it.each(Object.entries(roles) as [AuditAction, string][])("%s is by %s", (action, role) => {
  expect(ruleOf({ rule }, action, "acme")).toBe(`${role} of acme`);
  expect(ruleOf({ rule }, action, "")).toBe(`${role} of all`);
});

it("nobody is let by a rule to what the service does by itself, nor for what is no tenant", () => {
  for (const action of ["create", "retire", "destroy", "restore"] as const) {
    expect(ruleOf({ rule }, action, "acme")).toBeUndefined();
  }
  expect(ruleOf({ rule }, "encrypt_pii", "No Tenant")).toBeUndefined();
});
