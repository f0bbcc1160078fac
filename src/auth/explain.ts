/**
 * Why an identity may do what it may, for people. Which rules match is asked of grants.ts, and what they allow
 * of caller.ts, so that both agree with the service; only what a rule has against an identity is worked out
 * here. A claim is named, and its value is never shown.
 */
import { checkTenantId } from "../call/ids.ts";
import type { Role } from "../call/roles.ts";
import { createCaller } from "./caller.ts";
import { claimHas, claimOf } from "./policy/claims.ts";
import {
  createDemands,
  createMatcher,
  type Grant,
  type Grants,
  grantFor,
  holdsOne,
  matchWho,
} from "./policy/grants.ts";
import { entryOf, type Identity, nameOf, namesOf } from "./policy/identity.ts";
import { quote } from "./policy/quote.ts";
import type { Policy } from "./policy/policy.ts";
import type { Rule, Who } from "./policy/rules.ts";
import { rolesApartFrom } from "./policy/separation.ts";

export interface Explanation {
  /** Name of the caller in the audit trail. */
  readonly identity: string;
  /** Listed in the order of the file. */
  readonly rules: readonly ExplainedRule[];
  /** The rule that demands a token beside the caller's certificate, so that the certificate gives nothing. */
  readonly demand: Rule | undefined;
  /** Decides for a tenant, or for all of them if none is given. Throws INVALID_ARGUMENT for what is no tenant id. */
  decide(role: Role, tenantId?: string): Decision;
}

export type ExplainedRule =
  | { readonly rule: Rule; readonly grant: Grant }
  /** `demands`: whether it matches, and demands a token; `why`: what that means, else the first thing that does not match. */
  | { readonly rule: Rule; readonly grant: undefined; readonly demands: boolean; readonly why: string };

export type Decision =
  | { readonly allowed: true; readonly rule: string; readonly line: number }
  /** `apart`: whether rules give it, and separation refuses it. */
  | { readonly allowed: false; readonly apart: boolean; readonly why: string };

/** `byCertificate`: whether a certificate proves the identity, and nothing else does. */
export function explain(policy: Policy, identity: Identity, byCertificate?: boolean): Explanation {
  return createExplain(policy)(identity, byCertificate);
}

/** Makes what explains a policy to many identities: its rules are indexed once. */
export function createExplain(policy: Policy): (identity: Identity, byCertificate?: boolean) => Explanation {
  const [grantsOf, demandOn] = [createMatcher(policy.rules), createDemands(policy.rules)];
  const lines = new Map(policy.rules.map(({ name, line }) => [name, line]));
  return (identity, byCertificate = identity.kind === "dns") => {
    const grants = grantsOf(identity);
    const demand = byCertificate ? demandOn(identity) : undefined;
    const policyInForce = { separation: policy.separation, grantsOf: () => grants };
    const caller = createCaller({ identity, inForce: () => policyInForce });
    return {
      identity: nameOf(identity),
      demand,
      get rules() {
        return explainRules(policy, grants, { identity, byCertificate });
      },
      decide(role, tenantId) {
        if (tenantId !== undefined) checkTenantId(tenantId);
        if (demand !== undefined) {
          return { allowed: false, apart: false, why: `${demand.name} demands a token beside this certificate` };
        }
        const rule = caller.rule(role, tenantId);
        if (rule !== undefined) return { allowed: true, rule, line: lines.get(rule)! };
        const apart = grantFor(grants, role, tenantId) !== undefined;
        return { allowed: false, apart, why: whyDenied(grants, role, tenantId) };
      },
    };
  };
}

function explainRules(
  { rules }: Policy,
  grants: Grants,
  { identity, byCertificate }: { identity: Identity; byCertificate: boolean },
): ExplainedRule[] {
  const byRule = new Map(grants.map((grant) => [grant.rule, grant]));
  return rules.map((rule) => {
    const grant = byRule.get(rule.name);
    if (grant) return { rule, grant };
    const demands = rule.demandsToken && matchWho(rule.who, identity) !== undefined;
    return { rule, grant, demands, why: demands ? demandText(byCertificate) : whyNot(rule.who, identity) };
  });
}

function demandText(byCertificate: boolean): string {
  const text = "demands a token beside its certificate";
  return byCertificate ? text : `${text}, and the caller has shown one`;
}

export function decisionText(decision: Decision): string {
  return decision.allowed ? `allowed by ${decision.rule} (line ${decision.line})` : `denied: ${decision.why}`;
}

function whyDenied(grants: Grants, role: Role, tenantId: string | undefined): string {
  if (grants.length === 0) return "no rule names this caller";
  const where = tenantId ?? "all tenants";
  const given = grantFor(grants, role, tenantId);
  if (given === undefined) return `no rule gives ${role} for ${where}`;
  const [other, by] = rolesApartFrom(role)
    .map((each) => [each, grants.find((grant) => holdsOne([grant], [each], tenantId))] as const)
    .find(([, grant]) => grant !== undefined)!;
  return `${given.rule} gives ${role} and ${by!.rule} gives ${other} for ${where}, which separation keeps apart`;
}

const kinds = {
  spiffe: "a SPIFFE id",
  dns: "a DNS name",
  jwt: "an issuer's subject",
  token: "a static token",
} as const;
const nouns = { spiffe: "SPIFFE id", dns: "name", jwt: "subject", token: "token" } as const;

/** The first thing that does not match, of a rule that does not. */
function whyNot(who: Who, identity: Identity): string {
  if (who.kind !== identity.kind) return `the caller is ${kinds[identity.kind]}, not ${kinds[who.kind]}`;
  const entry = who.kind === "dns" ? who.certificates : who.kind === "jwt" ? who.issuer : "";
  if (entry !== entryOf(identity)) {
    return `${who.kind === "dns" ? "certificates entry" : "issuer"} is ${entryOf(identity)}, not ${entry}`;
  }
  if (who.kind === "jwt" && identity.kind === "jwt" && (who.name === undefined || who.name.match(identity.subject))) {
    return whyNotClaims(who.claims, identity.claims);
  }
  const names = namesOf(identity);
  const wanted = who.kind === "token" ? who.token : who.name?.text;
  if (names.length > 1) return `names are ${names.join(", ")}, and none is ${wanted}`;
  return `${nouns[who.kind]} is ${names[0]}, not ${wanted}`;
}

function whyNotClaims(wanted: (Who & { kind: "jwt" })["claims"], claims: (Identity & { kind: "jwt" })["claims"]) {
  const [name, text] = wanted.find(([each, value]) => !claimHas(claims, each, value))!;
  if (claimOf(claims, name) === undefined) return `there is no claim ${quote(name)}`;
  return `claim ${quote(name)} has not ${quote(text)}`;
}

/** The tenants of a grant. Those that a claim names are counted. */
export function grantedTenants({ tenants: { named, captured, claim, within } }: Rule, grant: Grant): string {
  if (grant.all) return "every tenant";
  const derived = [...grant.tenants.ids].filter((tenantId) => !named.ids.has(tenantId));
  const written = [...named.ids, ...named.prefixes.map((prefix) => `${prefix}*`)];
  if (captured) written.push(...derived);
  if (claim !== undefined && derived.length > 0) {
    return `${derived.length} tenant${derived.length === 1 ? "" : "s"} that claim ${quote(claim)} names`;
  }
  if (written.length > 0) return written.join(", ");
  const bound = within === undefined ? "" : " within the rule's bounds";
  return `no tenant: ${claim === undefined ? "{tenant}" : `claim ${quote(claim)}`} names none${bound}`;
}
