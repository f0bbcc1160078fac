import { describe, expect, it } from "vitest";
import { type Role, roles } from "../../src/call/roles.ts";
import { createCaller } from "../../src/auth/caller.ts";
import { decisionText, explain, grantedTenants } from "../../src/auth/explain.ts";
import { createMatcher } from "../../src/auth/policy/grants.ts";
import type { Identity } from "../../src/auth/policy/identity.ts";
import { thrownBy } from "../support/matchers.ts";
import { policyOf } from "../support/policy-fixture.ts";
import { model, randomIdentity, randomPolicy, tenantIds } from "../support/random-policy.ts";
import { generator } from "../support/random-span.ts";

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

const spiffe = (id: string): Identity => ({ kind: "spiffe", id: `spiffe://example.org/ns/fluo/sa/${id}` });
const dns = (certificates: string, ...names: [string, ...string[]]): Identity => ({ kind: "dns", certificates, names });
const token = (name: string): Identity => ({ kind: "token", token: name });
const notInBounds = "names none within the rule's bounds";

it.each<[rule: string, verdict: string, identity: Identity]>([
  ["ingest", "matches: every tenant", ingest],
  ["site", "the caller is a SPIFFE id, not a DNS name", ingest],
  ["support", "the caller is a SPIFFE id, not an issuer's subject", ingest],
  ["admin", "the caller is a SPIFFE id, not a static token", ingest],
  [
    "ingest",
    "SPIFFE id is spiffe://example.org/ns/fluo/sa/other, not spiffe://example.org/ns/fluo/sa/ingest",
    spiffe("other"),
  ],
  ["ingest", "the caller is a DNS name, not a SPIFFE id", dns("web", "acme.local")],
  ["site", "matches: acme, beta", dns("web", "a.b.acme.local", "a.acme.local", "a.beta.local")],
  ["site", "certificates entry is lan, not web", dns("lan", "a.acme.local")],
  ["site", "name is acme.local, not *.{tenant}.local", dns("web", "acme.local")],
  ["site", "names are acme.local, local, and none is *.{tenant}.local", dns("web", "acme.local", "local")],
  ["backend", "matches: acme", jwt("cluster", "sa:acme:backend")],
  ["backend", `matches: no tenant: {tenant} ${notInBounds}`, jwt("cluster", "sa:beta:backend")],
  ["backend", "subject is sa:acme:web, not sa:{tenant}:backend", jwt("cluster", "sa:acme:web")],
  ["backend", "issuer is sso, not cluster", jwt("sso", "sa:acme:backend")],
  ["support", `matches: no tenant: claim kms_tenants ${notInBounds}`, support({})],
  ["support", "matches: 1 tenant that claim kms_tenants names", support({ kms_tenants: "acme" })],
  [
    "support",
    "matches: 2 tenants that claim kms_tenants names",
    support({ kms_tenants: ["acme", "globex-1", "other"] }),
  ],
  ["support", "there is no claim /realm_access/roles", jwt("sso", "ann")],
  ["support", "claim level has not 7", support({ level: 8 })],
  ["support", "claim /realm_access/roles has not kms-support", support({ realm_access: { roles: ["other"] } })],
  ["admin", "matches: every tenant", token("admin")],
  ["reader", "matches: acme", token("admin")],
  ["eraser", "matches: acme, beta-*", token("admin")],
  ["admin", "token is app, not admin", token("app")],
])("rule %s %s", (rule, verdict, identity) => {
  const found = explain(policy, identity).rules.find((each) => each.rule.name === rule)!;
  expect(found.grant ? `matches: ${grantedTenants(found.rule, found.grant)}` : found.why).toBe(verdict);
});

it("attack 62: of claims no value is shown but sub: tenants that a claim names are counted", () => {
  const canary = "globex-canary";
  const identity = support({ kms_tenants: ["acme", canary, "other"], email: "ann@canary", level: 8, x: canary });
  for (const each of [identity, support({ kms_tenants: ["acme", canary, "other"], canary: "canary" })]) {
    const { identity: name, rules, decide } = explain(policy, each);
    const said = rules.map((rule) => (rule.grant ? grantedTenants(rule.rule, rule.grant) : rule.why));
    const decided = roles.map((role) => decisionText(decide(role, "acme")));
    expect([name, ...said, ...decided].join("\n")).not.toContain("canary");
  }
});

describe("a decision", () => {
  it.each<[text: string, identity: Identity, role: Role, tenant?: string]>([
    ["allowed by ingest (line 13)", ingest, "sign", "acme"],
    ["allowed by ingest (line 13)", ingest, "encrypt"],
    ["allowed by support (line 15)", support({ kms_tenants: "globex-1" }), "decrypt", "globex-1"],
    ["denied: no rule gives decrypt for acme", ingest, "decrypt", "acme"],
    ["denied: no rule gives operate for all tenants", ingest, "operate"],
    ["denied: no rule gives decrypt for all tenants", token("admin"), "decrypt"],
    ["denied: no rule names this caller", token("app"), "decrypt", "acme"],
    // attack 52: two rules add up to what separation keeps apart, and for that tenant alone.
    [
      "denied: eraser gives destroy and reader gives decrypt for acme, which separation keeps apart",
      token("admin"),
      "destroy",
      "acme",
    ],
    ["allowed by eraser (line 24)", token("admin"), "destroy", "beta-1"],
    ["allowed by reader (line 25)", token("admin"), "decrypt", "acme"],
  ])("is %s: %o, %s, %s", (text, identity, role, tenant) => {
    expect(decisionText(explain(policy, identity).decide(role, tenant))).toBe(text);
  });

  it("allows both where separation is off, and takes no tenant id that the service refuses", async () => {
    const { decide } = explain({ ...policy, separation: false }, token("admin"));
    expect(decisionText(decide("destroy", "acme"))).toBe("allowed by eraser (line 24)");
    for (const id of ["ACME", ""]) {
      expect(await thrownBy(() => decide("sign", id))).toBeKmsError("INVALID_ARGUMENT", "tenant_id");
    }
  });
});

it("a decision agrees with the service, and with three nested loops, over random policies and identities", () => {
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
      if (decision.allowed) return caller.rule(role, tenantId) === decision.rule ? decision.rule : "not served";
      if (caller.has(role, tenantId)) return "served";
      return decision.apart ? "apart" : "denied";
    });
    const modelled = asked.map(([role, tenantId]) => {
      const rule = byModel.rule(role, tenantId);
      return byModel.allowed(role, tenantId) ? rule : rule === undefined ? "denied" : "apart";
    });
    expect(explained, where).toEqual(modelled);
    for (const each of explained) seen[each === "apart" || each === "denied" ? each : "allowed"] += 1;
  }
  // Each kind of case came up often enough to be worth the name.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(50);
});
