/**
 * Rules that could match one caller and together give it roles that separation keeps apart. The service refuses such a caller
 * one of the roles when it calls; here the rules are found before. What a token may claim is not known, so any claims may be in one token.
 */
import type { Role } from "../../call/roles.ts";
import { entryIn, exactName } from "./grants.ts";
import type { Rule, RuleTenants, WantedClaims, Who } from "./rules.ts";
import { rolesApartFrom, separatedRoles } from "./separation.ts";
import { hasTenant, type TenantSet } from "./tenant-set.ts";

export interface Overlap {
  readonly rule: Rule;
  /** The role that is refused, which `rule` gives. */
  readonly role: Role;
  readonly other: Rule;
  /** The role that `other` gives. */
  readonly otherRole: Role;
  /** A tenant or a prefix that both may give, or `any tenant`. */
  readonly tenants: string;
  /** Whether every caller of one rule is a caller of the other. */
  readonly same: boolean;
}

export interface Overlaps {
  readonly found: readonly Overlap[];
  /** Whether all rules were compared, and all that overlap are in `found`. */
  readonly isWhole: boolean;
}

/** More would be of no use to anybody. */
const maxFound = 10;
/** Rules of one exact name are found by it; this bounds pairs of others to 0.1 s. */
const maxCompared = 100_000;

export function overlapsAmong(rules: readonly Rule[]): Overlaps {
  const found: Overlap[] = [];
  let compared = 0;
  for (const [rule, role, other] of pairs(rules)) {
    compared += 1;
    if (compared > maxCompared) return { found, isWhole: false };
    const tenants = couldBeOne(rule.who, other.who) ? commonTenants(rule.tenants, other.tenants) : undefined;
    if (tenants === undefined) continue;
    if (found.length === maxFound) return { found, isWhole: false };
    const otherRole = rolesApartFrom(role).find((each) => other.roles.has(each))!;
    const same = JSON.stringify(rule.who) === JSON.stringify(other.who);
    found.push({ rule, role, other, otherRole, tenants, same });
  }
  return { found, isWhole: true };
}

/** Pairs that give roles to be kept apart, of one entry or kind, except those that have different exact names. */
function* pairs(rules: readonly Rule[]): Generator<readonly [rule: Rule, role: Role, other: Rule]> {
  for (const role of separatedRoles.filter((each) => rules.some((rule) => rule.roles.has(each)))) {
    const hasOther = (rule: Rule) => rolesApartFrom(role).some((each) => rule.roles.has(each));
    const concerned = rules.filter((rule) => rule.roles.has(role) || hasOther(rule));
    for (const group of Map.groupBy(concerned, ({ who }) => `${who.kind}:${entryIn(who)}`).values()) {
      const others = group.filter(hasOther);
      const byName = Map.groupBy(others, ({ who }) => exactName(who));
      for (const rule of group.filter((each) => each.roles.has(role))) {
        const name = exactName(rule.who);
        const candidates = name === undefined ? [others] : [byName.get(name) ?? [], byName.get(undefined) ?? []];
        for (const other of candidates.flat()) yield [rule, role, other];
      }
    }
  }
}

/** Whether one caller could match both, which are of one entry. A certificate with several names is left to when it calls. */
function couldBeOne(a: Who, b: Who): boolean {
  if (a.kind === "token" || b.kind === "token") return true;
  if (a.name !== undefined && b.name !== undefined && !a.name.overlaps(b.name)) return false;
  return a.kind !== "jwt" || b.kind !== "jwt" || couldHaveBoth(a.claims, b.claims);
}

/** Claims that issuers give one value. */
const single = ["sub", "azp", "client_id", "cid", "appid", "oid", "tid", "repository_id", "project_id"];

function couldHaveBoth(some: WantedClaims, others: WantedClaims): boolean {
  return some.every(([name, text]) => !single.includes(name) || others.every(([n, t]) => n !== name || t === text));
}

function commonTenants(some: RuleTenants, others: RuleTenants): string | undefined {
  const [a, b] = [possible(some), possible(others)];
  if (a === undefined || b === undefined) return textsOf(a ?? b)[0] ?? "any tenant";
  const shared = textsOf(a).find((text) => covers(b, text));
  return shared ?? textsOf(b).find((text) => covers(a, text));
}

/** The tenants that a rule may give; undefined for any. */
function possible({ all, named, captured, claim, within }: RuleTenants): TenantSet | undefined {
  const isDerived = captured || claim !== undefined;
  if (all || (isDerived && within === undefined)) return undefined;
  return isDerived ? within : named;
}

function textsOf(set: TenantSet | undefined): string[] {
  return set === undefined ? [] : [...set.ids, ...set.prefixes.map((prefix) => `${prefix}*`)];
}

/** Whether the set has an id, or all that begin with a prefix. */
function covers(set: TenantSet, text: string): boolean {
  return hasTenant(set, text.replace("*", ""));
}
