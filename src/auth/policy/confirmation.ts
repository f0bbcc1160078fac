/**
 * Destruction by two persons: a caller whose `destroy` is of one rule asks for it, and one whose `destroy` is of another rule confirms. Where
 * no other rule is for others and for the same tenants, nobody ever could.
 */
import type { Rule, RuleTenants } from "./rules.ts";
import type { TenantSet } from "./tenant-set.ts";

export interface Unconfirmed {
  readonly rule: Rule;
  /** The first tenants of the rule that no other rule gives `destroy` for. */
  readonly tenants: string;
}

/** What tenants of callers may be is not known here: a rule that captures or claims them is given the benefit of the doubt. */
export function unconfirmed(rules: readonly Rule[]): Unconfirmed[] {
  const destroying = rules.filter(({ roles }) => roles.has("destroy"));
  return destroying.flatMap((rule) => {
    const others = destroying.filter(({ who }) => JSON.stringify(who) !== JSON.stringify(rule.who));
    const tenants = tenantsOf(rule.tenants).find((text) => !others.some((other) => covers(other.tenants, text)));
    return tenants === undefined ? [] : [{ rule, tenants }];
  });
}

/** Texts as a policy writes them. */
function tenantsOf({ all, named, captured, claim, within }: RuleTenants): string[] {
  const derived = captured || claim !== undefined ? (within === undefined ? [derivedTenants] : textsOf(within)) : [];
  return [...(all ? ["every tenant"] : []), ...textsOf(named), ...derived];
}

const derivedTenants = "tenants of its callers";

function textsOf({ ids, prefixes }: TenantSet): string[] {
  return [...ids, ...prefixes.map((prefix) => `${prefix}*`)];
}

function covers({ all, named, captured, claim, within }: RuleTenants, text: string): boolean {
  const isIn = ({ ids, prefixes }: TenantSet) => ids.has(text) || prefixes.some((prefix) => text.startsWith(prefix));
  const derives = captured || claim !== undefined;
  return all || isIn(named) || (derives && (within === undefined || isIn(within)));
}
