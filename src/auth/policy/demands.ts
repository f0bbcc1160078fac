/**
 * Demands for a token beside a certificate, and the rules that give nothing because of one: a demand comes before what other rules give to the
 * same certificate, and a token that comes counts alone.
 */
import type { Rule, Who } from "./rules.ts";
import { haveTrustDomainOf, type Trust } from "./trust.ts";

export interface Overruled {
  readonly rule: Rule;
  readonly demand: Rule;
}

/** Rules whose callers are known by certificates alone, each of which needs a token. */
export function overruled(rules: readonly Rule[], { issuers }: Pick<Trust, "issuers">): Overruled[] {
  const demands = new Map<string, Rule>();
  for (const rule of rules) {
    if (rule.demandsToken && isCertified(rule.who)) demands.set(keyOf(rule.who, rule.who.name.text), rule);
  }
  if (demands.size === 0) return [];
  return rules.flatMap((rule) => {
    const { who } = rule;
    if (rule.demandsToken || !isCertified(who)) return [];
    // A JWT-SVID proves the same names.
    if (who.kind === "spiffe" && haveTrustDomainOf(who.name.text, issuers)) return [];
    const demand = namesFor(who)
      .map((name) => demands.get(keyOf(who, name)))
      .find((each) => each !== undefined);
    return demand === undefined ? [] : [{ rule, demand }];
  });
}

type Certified = Who & { kind: "spiffe" | "dns" };

function isCertified(who: Who): who is Certified {
  return who.kind === "spiffe" || who.kind === "dns";
}

function keyOf(who: Certified, name: string): string {
  return `${who.kind} ${who.kind === "dns" ? who.certificates : ""} ${name}`;
}

/** The names by which a demand is of all whom a rule may match: its own, or with `*` for one of its parts. A demand has no `{tenant}`. */
function namesFor({ kind, name: { text } }: Certified): string[] {
  const separator = kind === "dns" ? "." : "/";
  const parts = text.split(separator);
  return [text, ...parts.map((_, at) => parts.with(at, "*").join(separator))];
}
