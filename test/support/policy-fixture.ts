/** Policies of tests, and what is read of them. */
import { createMatcher } from "../../src/auth/policy/grants.ts";
import { createCaller, type InForce } from "../../src/auth/caller.ts";
import type { Identity } from "../../src/auth/policy/identity.ts";
import { type Policy, readPolicy } from "../../src/auth/policy/policy.ts";

export const sha256 = "ab".repeat(32);

/** Lines 1 to 10 of a policy that knows one entry of each kind. */
export const trusted = `version: 1
certificates:
  - { name: mesh, trust-domain: example.org, ca: /etc/ca.pem }
  - { name: web, ca: /etc/web.pem, dns: [.internal.example.org] }
issuers:
  - { name: sso, issuer: "https://sso.example.org", audience: fluo-kms }
  - { name: spire, trust-domain: svid.example.org, bundle-file: /run/bundle.json, audience: fluo-kms }
tokens:
  - { name: prometheus, sha256: ${sha256}, expires: 2027-06-30 }
rules:
`;

/** Lines 11 to 14: a rule. Others may stand in place of its lines. */
export function rule(
  lines: { name?: string; who?: string; roles?: string; tenants?: string; more?: string } = {},
): string {
  const { name = "a", who = "{ token: prometheus }", roles = "[sign]", tenants = "[acme]", more = "" } = lines;
  return `  - name: ${name}\n    who: ${who}\n    roles: ${roles}\n    tenants: ${tenants}\n${more}`;
}

export function policyOf(text: string): Policy {
  const { policy, problems } = readPolicy(text);
  if (policy === undefined) throw new Error(`no policy: ${JSON.stringify(problems)}`);
  return policy;
}

/** Each as `line: text`. */
export function problemsOf(text: string): string[] {
  return readPolicy(text).problems.map(({ line, text: what }) => `${line}: ${what}`);
}

/** Each as `line: text`, but those of roles that no rule gives. */
export function warningsOf(text: string): string[] {
  const { policy, problems, warnings } = readPolicy(text);
  if (policy === undefined) throw new Error(`no policy: ${JSON.stringify(problems)}`);
  return warnings
    .filter(({ text: what }) => !what.startsWith("no rule gives"))
    .map(({ line, text: what }) => `${line}: ${what}`);
}

/** What a policy of `trusted` and these rules gives. */
export function inForce(...rules: string[]): InForce {
  const { separation, rules: read } = policyOf(rules.length > 0 ? trusted + rules.join("") : "version: 1\nrules: []\n");
  return { separation, grantsOf: createMatcher(read) };
}

export function callerUnder(policy: InForce, identity: Identity) {
  return createCaller({ identity, inForce: () => policy });
}

export const prometheus: Identity = { kind: "token", token: "prometheus" };

export function human(claims: Record<string, unknown> = {}, subject = "u1"): Identity {
  return { kind: "jwt", issuer: "sso", subject, claims };
}

export function workload(path: string): Identity {
  return { kind: "spiffe", id: `spiffe://example.org${path}` };
}
