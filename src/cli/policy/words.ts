/** Rules of a policy in words and in JSON: callers are called as the audit trail calls them. */
import type { Rule, RuleTenants, Who } from "../../auth/policy/rules.ts";
import type { TenantSet } from "../../auth/policy/tenant-set.ts";
import { type Role, roles } from "../../call/roles.ts";

/** Names callers as the audit trail does, with what their tokens must claim. */
export function whoText(who: Who): string {
  switch (who.kind) {
    case "spiffe":
      return who.name.text;
    case "dns":
      return `dns:${who.certificates}:${who.name.text}`;
    case "token":
      return `token:${who.token}`;
    case "jwt": {
      const claims = who.claims.map(([name, text]) => `${name} = ${text}`).join(", ");
      const subject = who.name === undefined ? "" : `:${who.name.text}`;
      return `jwt:${who.issuer}${subject}${claims === "" ? "" : ` with ${claims}`}`;
    }
  }
}

/** Lists roles in the order of docs and messages. */
export function rolesOf(rule: Rule): Role[] {
  return roles.filter((role) => rule.roles.has(role));
}

/** Each alone, for comparison. */
export function tenantTexts({ all, named, captured, claim, within }: RuleTenants): string[] {
  const bounded = (what: string) => (within ? setTexts(within).map((text) => `${what} of ${text}`) : [what]);
  return [
    ...(all ? ["every tenant"] : []),
    ...setTexts(named),
    ...(captured ? bounded("{tenant}") : []),
    ...(claim === undefined ? [] : bounded(`claim ${claim}`)),
  ];
}

export function tenantsText(tenants: RuleTenants): string {
  const { within, ...unbounded } = tenants;
  const text = tenantTexts({ ...unbounded, within: undefined }).join(", ");
  return within ? `${text} of ${setTexts(within).join(", ")}` : text;
}

function setTexts({ ids, prefixes }: TenantSet): string[] {
  return [...ids, ...prefixes.map((prefix) => `${prefix}*`)];
}

/** Makes the JSON of a rule as the policy writes it. */
export function ruleJson(rule: Rule) {
  const { name, line, who, tenants, limit, demandsToken } = rule;
  if (demandsToken) return { name, line, who: whoJson(who), token: "required" };
  const written = { name, line, who: whoJson(who), roles: rolesOf(rule), tenants: tenantsJson(tenants) };
  return limit === undefined ? written : { ...written, limit };
}

function whoJson(who: Who) {
  switch (who.kind) {
    case "spiffe":
      return { spiffe: who.name.text };
    case "dns":
      return { dns: { certificates: who.certificates, name: who.name.text } };
    case "token":
      return { token: who.token };
    case "jwt":
      return {
        jwt: {
          issuer: who.issuer,
          ...(who.name !== undefined && { subject: who.name.text }),
          ...(who.claims.length > 0 && { claims: Object.fromEntries(who.claims) }),
        },
      };
  }
}

function tenantsJson({ all, named, captured, claim, within }: RuleTenants) {
  if (claim !== undefined) return { claim, ...(within && { within: setTexts(within) }) };
  if (captured && within) return { captured: setTexts(within) };
  return [...(all ? ["*"] : []), ...setTexts(named), ...(captured ? ["{tenant}"] : [])];
}
