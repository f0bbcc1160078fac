/**
 * What the rules of a policy give an identity. A grant is one rule's: roles and tenants of two rules never mix. Grants are of one credential
 * under one policy, and are never looked up by the identity's name: tokens of one user have other claims.
 */
import type { Role } from "../../call/roles.ts";
import { tenantIdPattern } from "../../call/ids.ts";
import { claimHas, claimOf } from "./claims.ts";
import { entryOf, type Identity, namesOf } from "./identity.ts";
import type { Rule } from "./rules.ts";
import { hasTenant, type TenantSet } from "./tenant-set.ts";

export interface Grant {
  /** The rule's name. */
  readonly rule: string;
  readonly roles: ReadonlySet<Role>;
  readonly all: boolean;
  readonly tenants: TenantSet;
  readonly limit: number | undefined;
}

/** Listed in the order of the file. */
export type Grants = readonly Grant[];

/** The first grant with the role for the tenant, or for all tenants where none is given. */
export function grantFor(grants: Grants, role: Role, tenantId?: string): Grant | undefined {
  for (const grant of grants) {
    if (!grant.roles.has(role)) continue;
    if (grant.all || (tenantId !== undefined && hasTenant(grant.tenants, tenantId))) return grant;
  }
  return undefined;
}

/** Whether a grant has one of the roles for the tenant; where none is given, for any tenant. */
export function holdsOne(grants: Grants, roles: readonly Role[], tenantId: string | undefined): boolean {
  if (tenantId !== undefined) return roles.some((role) => grantFor(grants, role, tenantId) !== undefined);
  return grants.some((grant) => hasAny(grant) && roles.some((role) => grant.roles.has(role)));
}

/** The largest limit of the rules that match; undefined if none of them has one. */
export function largestLimit(grants: Grants): { perSecond: number; rule: string } | undefined {
  let largest: { perSecond: number; rule: string } | undefined;
  for (const { limit: perSecond, rule } of grants) {
    if (perSecond !== undefined && perSecond > (largest?.perSecond ?? 0)) largest = { perSecond, rule };
  }
  return largest;
}

function hasAny({ all, tenants: { ids, prefixes } }: Grant): boolean {
  return all || ids.size > 0 || prefixes.length > 0;
}

/** Makes what finds the grants of an identity. */
export function createMatcher(rules: readonly Rule[]): (identity: Identity) => Grants {
  const candidates = candidatesAmong(rules);
  return (identity) =>
    candidates(identity)
      .map((rule) => grantOf(rule, identity))
      .filter((grant) => grant !== undefined);
}

/** Makes what finds the first rule that demands a token beside the certificate by which an identity is known. */
export function createDemands(rules: readonly Rule[]): (identity: Identity) => Rule | undefined {
  const candidates = candidatesAmong(rules.filter(({ demandsToken }) => demandsToken));
  return (identity) => candidates(identity).find(({ who }) => matchWho(who, identity) !== undefined);
}

/** Finds the rules that may match an identity: those of one exact name by that name, the others of its kind and entry one by one. */
function candidatesAmong(rules: readonly Rule[]): (identity: Identity) => Rule[] {
  const byKey = new Map<string, number[]>();
  for (const [at, { who }] of rules.entries()) {
    const key = keyOf(who.kind, entryIn(who), exactName(who) ?? "");
    const some = byKey.get(key);
    if (some) some.push(at);
    else byKey.set(key, [at]);
  }
  return (identity) => {
    const entry = entryOf(identity);
    const found = ["", ...namesOf(identity)].flatMap((name) => byKey.get(keyOf(identity.kind, entry, name)) ?? []);
    return [...new Set(found)].sort((a, b) => a - b).map((at) => rules[at]!);
  };
}

/** The entry of the policy that a rule's callers are of; none for SPIFFE ids and static tokens. */
export function entryIn(who: Rule["who"]): string {
  return who.kind === "dns" ? who.certificates : who.kind === "jwt" ? who.issuer : "";
}

/** The one name that a rule is about; undefined if it may match several. */
export function exactName(who: Rule["who"]): string | undefined {
  if (who.kind === "token") return who.token;
  return who.name?.exact ? who.name.text : undefined;
}

function keyOf(kind: Identity["kind"], entry: string, name: string): string {
  return `${kind}:${entry}:${name}`;
}

/** Returns the grant of a rule to an identity; undefined if it does not match, or demands a token. */
export function grantOf(rule: Rule, identity: Identity): Grant | undefined {
  if (rule.demandsToken) return undefined;
  const captured = matchWho(rule.who, identity);
  if (captured === undefined) return undefined;
  const { all, named, within } = rule.tenants;
  const found = [...(rule.tenants.captured ? captured : []), ...claimedTenants(rule, identity)];
  const bounded = within === undefined ? found : found.filter((tenantId) => hasTenant(within, tenantId));
  const tenants = bounded.length === 0 ? named : { ...named, ids: new Set([...named.ids, ...bounded]) };
  return { rule: rule.name, roles: rule.roles, all, tenants, limit: rule.limit };
}

/** The tenants that an identity's names captured; undefined where it is somebody else. */
export function matchWho(who: Rule["who"], identity: Identity): readonly string[] | undefined {
  if (who.kind !== identity.kind) return undefined;
  if (who.kind === "token") return who.token === namesOf(identity)[0] ? [] : undefined;
  if (who.kind === "dns" && who.certificates !== entryOf(identity)) return undefined;
  if (who.kind === "jwt") {
    if (identity.kind !== "jwt" || who.issuer !== identity.issuer) return undefined;
    if (!who.claims.every(([name, text]) => claimHas(identity.claims, name, text))) return undefined;
  }
  const { name } = who;
  if (name === undefined) return [];
  const matches = namesOf(identity)
    .map((given) => name.match(given))
    .filter((match) => match !== undefined);
  if (matches.length === 0) return undefined;
  return matches.map(({ tenant }) => tenant).filter((tenant) => tenant !== undefined);
}

export const maxClaimedTenants = 100;

/** What a claim names: a claim never means all tenants, and what is no tenant id is left out. */
function claimedTenants({ tenants: { claim } }: Rule, identity: Identity): string[] {
  if (claim === undefined || identity.kind !== "jwt") return [];
  const found = claimOf(identity.claims, claim);
  const given = Array.isArray(found) ? found : [found];
  if (given.length > maxClaimedTenants) return [];
  return given.filter((tenant): tenant is string => typeof tenant === "string" && tenantIdPattern.test(tenant));
}
