import { describe, expect, it } from "vitest";
import { roles } from "../../src/call/roles.ts";
import { createCaller } from "../../src/auth/caller.ts";
import { decisionText, explain, grantedTenants } from "../../src/auth/explain.ts";
import { createMatcher } from "../../src/auth/policy/grants.ts";
import type { Identity } from "../../src/auth/policy/identity.ts";
import { type Policy, readPolicy } from "../../src/auth/policy/policy.ts";
import { thrownBy } from "../support/matchers.ts";
import { model, randomIdentity, randomPolicy, tenantIds } from "../support/random-policy.ts";
import { generator } from "../support/random-span.ts";

function policyOf(text: string): Policy {
  const { policy, problems } = readPolicy(text);
  expect(problems).toEqual([]);
  return policy!;
}

const policy = policyOf(`version: 1
certificates:
  - { name: mesh, ca: /mesh.pem, trust-domain: example.org }
  - { name: web, ca: /web.pem, dns: [.local] }
  - { name: lan, ca: /lan.pem, dns: [.local] }
issuers:
  - { name: sso, issuer: https://sso.example.org, audience: fluo-kms }
  - { name: cluster, issuer: https://cluster.example.org, audience: fluo-kms }
tokens:
  - { name: admin, sha256: ${"0".repeat(64)}, expires: 2027-06-30 }
  - { name: app, sha256: ${"1".repeat(64)}, expires: 2027-06-30 }
rules:
  - { name: ingest, who: { spiffe: "spiffe://example.org/ns/fluo/sa/ingest" }, roles: [sign, encrypt], tenants: "*" }
  - { name: site, who: { dns: { certificates: web, name: "*.{tenant}.local" } }, roles: [encrypt], tenants: "{tenant}" }
  - name: support
    who: { jwt: { issuer: sso, claims: { /realm_access/roles: kms-support, level: "7" } } }
    roles: [decrypt]
    tenants: { claim: kms_tenants, within: [acme, globex-*] }
  - name: backend
    who: { jwt: { issuer: cluster, subject: "sa:{tenant}:backend" } }
    roles: [decrypt]
    tenants: { captured: [acme, globex-*] }
  - { name: admin, who: { token: admin }, roles: [operate, key-admin], tenants: "*" }
  - { name: eraser, who: { token: admin }, roles: [destroy], tenants: [acme, beta-*] }
  - { name: reader, who: { token: admin }, roles: [decrypt], tenants: [acme] }
`);

const ingest: Identity = { kind: "spiffe", id: "spiffe://example.org/ns/fluo/sa/ingest" };
const jwt = (issuer: string, subject: string, claims: Record<string, unknown> = {}): Identity => ({
  kind: "jwt",
  issuer,
  subject,
  claims: { sub: subject, ...claims },
});
const support = (claims: Record<string, unknown>) =>
  jwt("sso", "ann", { realm_access: { roles: ["kms-support"] }, level: 7, ...claims });

/** Of each rule its tenants if it matches, else why not. */
function verdicts(identity: Identity): Record<string, string> {
  const all = explain(policy, identity).rules.map((each) => [
    each.rule.name,
    each.grant ? `matches: ${grantedTenants(each.rule, each.grant)}` : each.why,
  ]);
  return Object.fromEntries(all);
}

describe("each rule", () => {
  it("matches a SPIFFE id, or says that the caller is none", () => {
    expect(verdicts(ingest)).toEqual({
      ingest: "matches: every tenant",
      site: "the caller is a SPIFFE id, not a DNS name",
      support: "the caller is a SPIFFE id, not an issuer's subject",
      backend: "the caller is a SPIFFE id, not an issuer's subject",
      admin: "the caller is a SPIFFE id, not a static token",
      eraser: "the caller is a SPIFFE id, not a static token",
      reader: "the caller is a SPIFFE id, not a static token",
    });
    expect(verdicts({ kind: "spiffe", id: "spiffe://example.org/ns/fluo/sa/other" }).ingest).toBe(
      "SPIFFE id is spiffe://example.org/ns/fluo/sa/other, not spiffe://example.org/ns/fluo/sa/ingest",
    );
  });

  it("matches any DNS name of a certificate, or says what the names and the entry are", () => {
    const named = (certificates: string, ...names: [string, ...string[]]): Identity => ({
      kind: "dns",
      certificates,
      names,
    });
    expect(verdicts(named("web", "a.b.acme.local", "a.acme.local", "a.beta.local")).site).toBe("matches: acme, beta");
    expect(verdicts(named("lan", "a.acme.local")).site).toBe("certificates entry is lan, not web");
    expect(verdicts(named("web", "acme.local")).site).toBe("name is acme.local, not *.{tenant}.local");
    expect(verdicts(named("web", "acme.local", "local")).site).toBe(
      "names are acme.local, local, and none is *.{tenant}.local",
    );
    expect(verdicts(named("web", "acme.local")).ingest).toBe("the caller is a DNS name, not a SPIFFE id");
  });

  it("matches the subject of a token, or says what it is", () => {
    expect(verdicts(jwt("cluster", "sa:acme:backend")).backend).toBe("matches: acme");
    expect(verdicts(jwt("cluster", "sa:beta:backend")).backend).toBe(
      "matches: no tenant: {tenant} names none within the rule's bounds",
    );
    expect(verdicts(jwt("cluster", "sa:acme:web")).backend).toBe("subject is sa:acme:web, not sa:{tenant}:backend");
    expect(verdicts(jwt("sso", "sa:acme:backend")).backend).toBe("issuer is sso, not cluster");
  });

  it("matches claims, or names the first that is not there or has not what it should", () => {
    expect(verdicts(support({})).support).toBe(
      "matches: no tenant: claim kms_tenants names none within the rule's bounds",
    );
    expect(verdicts(jwt("sso", "ann")).support).toBe("there is no claim /realm_access/roles");
    expect(verdicts(support({ level: 8 })).support).toBe("claim level has not 7");
    expect(verdicts(support({ realm_access: { roles: ["other"] } })).support).toBe(
      "claim /realm_access/roles has not kms-support",
    );
  });

  it("matches a static token by its name, or says it", () => {
    const { admin, reader } = verdicts({ kind: "token", token: "admin" });
    expect({ admin, reader }).toEqual({ admin: "matches: every tenant", reader: "matches: acme" });
    expect(verdicts({ kind: "token", token: "admin" }).eraser).toBe("matches: acme, beta-*");
    expect(verdicts({ kind: "token", token: "app" }).admin).toBe("token is app, not admin");
  });
});

it("attack 62: of claims no value is shown but sub: tenants that a claim names are counted", () => {
  const canary = "globex-canary";
  const identity = support({ kms_tenants: ["acme", canary, "other"], email: "ann@canary", level: 8, x: canary });
  const identities = [identity, support({ kms_tenants: ["acme", canary, "other"], canary: "canary" })];
  for (const each of identities) {
    const { identity: name, rules, decide } = explain(policy, each);
    const said = rules.map((rule) => (rule.grant ? grantedTenants(rule.rule, rule.grant) : rule.why));
    const decided = roles.map((role) => decisionText(decide(role, "acme")));
    expect([name, ...said, ...decided].join("\n")).not.toContain("canary");
  }
  expect(verdicts(identities[1]!).support).toBe("matches: 2 tenants that claim kms_tenants names");
  expect(verdicts(support({ kms_tenants: "acme" })).support).toBe("matches: 1 tenant that claim kms_tenants names");
});

describe("a decision", () => {
  const decided = (identity: Identity, ...asked: Parameters<ReturnType<typeof explain>["decide"]>) =>
    decisionText(explain(policy, identity).decide(...asked));

  it("names the first rule that allows it, and its line", () => {
    expect(decided(ingest, "sign", "acme")).toBe("allowed by ingest (line 13)");
    expect(decided(ingest, "encrypt")).toBe("allowed by ingest (line 13)");
    expect(decided(support({ kms_tenants: "globex-1" }), "decrypt", "globex-1")).toBe("allowed by support (line 15)");
  });

  it("says that no rule gives the role, for the tenant or for all", () => {
    expect(decided(ingest, "decrypt", "acme")).toBe("denied: no rule gives decrypt for acme");
    expect(decided(ingest, "operate")).toBe("denied: no rule gives operate for all tenants");
    expect(decided({ kind: "token", token: "admin" }, "decrypt")).toBe("denied: no rule gives decrypt for all tenants");
  });

  it("says that no rule names the caller", () => {
    expect(decided({ kind: "token", token: "app" }, "decrypt", "acme")).toBe("denied: no rule names this caller");
  });

  it("attack 52: is denied where two rules add up to what separation keeps apart, and for that tenant alone", () => {
    const admin: Identity = { kind: "token", token: "admin" };
    expect(decided(admin, "destroy", "acme")).toBe(
      "denied: eraser gives destroy and reader gives decrypt for acme, which separation keeps apart",
    );
    expect(decided(admin, "destroy", "beta-1")).toBe("allowed by eraser (line 24)");
    expect(decided(admin, "decrypt", "acme")).toBe("allowed by reader (line 25)");
    const { decide } = explain({ ...policy, separation: false }, admin);
    expect(decisionText(decide("destroy", "acme"))).toBe("allowed by eraser (line 24)");
  });

  it("is refused for what is no tenant id, as the service refuses it", async () => {
    const { decide } = explain(policy, ingest);
    expect(await thrownBy(() => decide("sign", "ACME"))).toBeKmsError("INVALID_ARGUMENT", "tenant_id");
    expect(await thrownBy(() => decide("sign", ""))).toBeKmsError("INVALID_ARGUMENT", "tenant_id");
  });
});

it("agrees with the service, and with three nested loops, over random policies and identities", () => {
  const random = generator(22);
  const seen = { allowed: 0, apart: 0, denied: 0, matching: 0, others: 0 };
  for (let n = 0; n < 1500; n += 1) {
    const written = randomPolicy(random);
    const read = policyOf(JSON.stringify(written));
    const identity = randomIdentity(random, written);
    const where = JSON.stringify({ rules: written.rules, identity });
    const byModel = model(written, identity);
    const { rules, decide } = explain(read, identity);
    const matching = rules.filter(({ grant }) => grant).map(({ rule }) => rule.name);
    expect(matching, where).toEqual(byModel.matching);
    expect(rules.filter((each) => !each.grant && each.why === "")).toEqual([]);
    seen.matching += matching.length;
    seen.others += rules.length - matching.length;

    const inForce = { separation: read.separation, grantsOf: createMatcher(read.rules) };
    const caller = createCaller({ identity, inForce: () => inForce });
    const asked = [undefined, ...tenantIds].flatMap((tenantId) => roles.map((role) => [role, tenantId] as const));
    const explained = asked.map(([role, tenantId]) => {
      const decision = decide(role, tenantId);
      if (decision.allowed) return decision.rule;
      return decision.apart ? "apart" : "denied";
    });
    const modelled = asked.map(([role, tenantId]) => {
      const rule = byModel.rule(role, tenantId);
      return byModel.allowed(role, tenantId) ? rule : rule === undefined ? "denied" : "apart";
    });
    expect(explained, where).toEqual(modelled);
    const served = asked.map(([role, tenantId]) => (caller.has(role, tenantId) ? caller.rule(role, tenantId) : "no"));
    expect(
      explained.map((each) => (each === "apart" || each === "denied" ? "no" : each)),
      where,
    ).toEqual(served);
    for (const each of explained) seen[each === "apart" || each === "denied" ? each : "allowed"] += 1;
  }
  // Each kind of case came up often enough to be worth the name.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(50);
});
