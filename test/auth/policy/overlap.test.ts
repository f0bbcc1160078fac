/** Rules that could match one caller, which would then have roles that separation keeps apart. */
import { describe, expect, it } from "vitest";
import { createExplain } from "../../../src/auth/explain.ts";
import { namesOf } from "../../../src/auth/policy/identity.ts";
import { overlapsAmong } from "../../../src/auth/policy/overlap.ts";
import { separatedRoles } from "../../../src/auth/policy/separation.ts";
import { policyOf, rule, trusted, warningsOf } from "../../support/policy-fixture.ts";
import { randomIdentity, randomPolicy, tenantIds } from "../../support/random-policy.ts";
import { generator } from "../../support/random-span.ts";

type Lines = Parameters<typeof rule>[0];
const spiffe = (path: string, domain = "example.org") => `{ spiffe: "spiffe://${domain}${path}" }`;
const dns = (name: string) => `{ dns: { certificates: web, name: "${name}.internal.example.org" } }`;
const jwt = (what: string) => `{ jwt: { issuer: sso, ${what} } }`;
const having = (...claims: string[]) => jwt(`claims: { ${claims.join(", ")} }`);
const token = "{ token: prometheus }";

/** Warnings of a policy in which rule a gives destroy, at line 11, and rule b decrypt, at line 15. */
function warned(a: Lines, b: Lines, more = ""): string[] {
  const rules = rule({ name: "a", roles: "[destroy]", ...a }) + rule({ name: "b", roles: "[decrypt]", ...b });
  return warningsOf(`${trusted}${rules}${more}`).filter((text) => text.includes("rule a gives"));
}

const withWho = (a: string, b: string) => warned({ who: a }, { who: b });

describe("a warning has both rules, what they give, and what to do", () => {
  const both = "11: rule a gives destroy, and rule b (line 15) decrypt, for acme";
  const mend = "give them other tenants, bounded if callers name them, or other";

  it.each([
    [having("role: support"), having("role: admin"), `a token that both match is refused destroy; ${mend} issuers`],
    [
      spiffe("/ns/*/sa/b"),
      spiffe("/ns/a/sa/*"),
      `a SPIFFE id that both match is refused destroy; ${mend} trust domains`,
    ],
    [dns("*.b"), dns("a.*"), `a certificate that both match is refused destroy; ${mend} certificates entries`],
    [token, token, "their callers are the same, and are refused destroy"],
    [spiffe("/a"), spiffe("/a"), "their callers are the same, and are refused destroy"],
    [having("role: a"), having("role: a"), "their callers are the same, and are refused destroy"],
  ])("%s and %s", (a, b, text) => {
    expect(withWho(a, b)).toEqual([`${both}: ${text}`]);
  });

  it.each([
    ["destroy", "decrypt-data-key"],
    ["destroy", "break-glass"],
    ["mark-compromised", "sign"],
  ])("%s and %s", (role, other) => {
    const [text, ...others] = warned({ roles: `[verify, ${role}]`, who: token }, { roles: `[status, ${other}]` });
    expect(others).toEqual([]);
    expect(text).toContain(`rule a gives ${role}, and rule b (line 15) ${other}, for acme: their callers are the same`);
  });

  it("and is none with separation: off, or for roles that may be together", () => {
    expect(warned({}, {})).toHaveLength(1);
    expect(warned({}, {}, "separation: off\n")).toEqual([]);
    expect(warned({}, { roles: "[encrypt, re-encrypt, key-admin]" })).toEqual([]);
  });
});

describe("callers", () => {
  it.each([
    [jwt("subject: ann"), having("role: a")],
    [jwt("subject: ann"), jwt("subject: ann, claims: { role: a }")],
    [jwt('subject: "sa:*:b"'), jwt('subject: "sa:a:*"')],
    [having("role: a"), having("role: a", "azp: b")],
    [having("azp: a"), having("azp: a", "role: b")],
  ])("may be one: %s and %s", (a, b) => {
    expect(withWho(a, b)).toHaveLength(1);
    expect(withWho(b, a)).toHaveLength(1);
  });

  it.each([
    [jwt("subject: ann"), jwt("subject: bob")],
    [jwt("subject: ann"), jwt('subject: "u:*"')],
    [having("azp: a", "role: c"), having("azp: b", "role: c")],
    [spiffe("/a"), spiffe("/b")],
    [spiffe("/ns/a/*"), spiffe("/ns/b/*")],
    [spiffe("/a/*"), spiffe("/a/*", "svid.example.org")],
    [spiffe("/a"), token],
    [dns("a"), dns("b")],
    [dns("a"), dns("*.b")],
    [token, jwt("subject: prometheus")],
  ])("are two: %s and %s", (a, b) => {
    expect(withWho(a, b)).toEqual([]);
    expect(withWho(b, a)).toEqual([]);
  });
});

describe("tenants", () => {
  const user = having("role: a");
  const subject = jwt('subject: "{tenant}"');

  it.each<[string, Lines, Lines]>([
    ["acme", { tenants: "[beta, acme]" }, { tenants: "[acme]" }],
    ["acme", { tenants: "[acme]" }, { tenants: '"*"' }],
    ["acme-eu", { tenants: "[acme-eu]" }, { tenants: "acme-*" }],
    ["acme-eu-*", { tenants: "acme-*" }, { tenants: "acme-eu-*" }],
    ["any tenant", { tenants: '"*"' }, { tenants: '"*"' }],
    ["any tenant", { tenants: '"*"', who: user }, { tenants: "{ claim: t }", who: user }],
    ["acme", { tenants: "acme", who: user }, { tenants: "{ claim: t }", who: user }],
    ["acme", { tenants: "acme", who: user }, { tenants: "{ claim: t, within: [acme, beta] }", who: user }],
    ["acme-*", { tenants: "{ captured: [acme-*] }", who: subject }, { tenants: '"{tenant}"', who: subject }],
    ["any tenant", { tenants: '["{tenant}", beta]', who: subject }, { tenants: '"{tenant}"', who: subject }],
  ])("that may be in common: %s", (tenants, a, b) => {
    for (const found of [warned(a, b), warned({ ...b, roles: "[destroy]" }, { ...a, roles: "[decrypt]" })]) {
      expect(found).toEqual([expect.stringContaining(`(line 15) decrypt, for ${tenants}: `)]);
    }
  });

  it.each<[Lines, Lines]>([
    [{ tenants: "acme" }, { tenants: "beta" }],
    [{ tenants: "acme" }, { tenants: "acme-*" }],
    [{ tenants: "acme-*" }, { tenants: "[beta-*, acmex-*]" }],
    [
      { tenants: "acme", who: user },
      { tenants: "{ claim: t, within: [beta-*] }", who: user },
    ],
    [
      { tenants: "{ captured: [acme] }", who: subject },
      { tenants: "{ captured: [beta] }", who: subject },
    ],
  ])("that are not: %j and %j", (a, b) => {
    expect(warned(a, b)).toEqual([]);
  });
});

describe("of many rules", () => {
  const many = (count: number, who: (at: number) => string, tenants = (name: string) => name) =>
    trusted +
    Array.from({ length: count }, (_, at) => [
      rule({ name: `d${at}`, who: who(at), roles: "[destroy]", tenants: tenants(`d${at}`) }),
      rule({ name: `r${at}`, who: who(at + 1), roles: "[decrypt]", tenants: tenants(`r${at}`) }),
    ])
      .flat()
      .join("");

  it("the first ten are named, and that there may be more", () => {
    const ofAcme = () => "acme";
    const found = warningsOf(many(12, () => token, ofAcme));
    expect(found).toHaveLength(11);
    expect(found.filter((text) => text.includes("gives destroy"))).toHaveLength(10);
    expect(found).toContain(
      "11: not all rules were compared: more of them may give one caller roles that separation keeps apart",
    );
  });

  it.each([
    ["exact names are found by their names", 2_000, (at: number) => spiffe(`/${at}`), true],
    ["others are compared", 300, (at: number) => having(`role: r${at}`), true],
    ["others are compared up to a bound", 400, (at: number) => having(`role: r${at}`), false],
  ])("those of %s: %i", (_, count, who, isWhole) => {
    expect(overlapsAmong(policyOf(many(count, who)).rules)).toEqual({ found: [], isWhole });
  });
});

it("whom the service refuses a role for separation, matches rules that are found", () => {
  const r = generator(42);
  let refused = 0;
  for (let round = 0; round < 3_000; round += 1) {
    const written = randomPolicy(r);
    const policy = policyOf(JSON.stringify({ ...written, separation: "on" }));
    const { found, isWhole } = overlapsAmong(policy.rules);
    const explain = createExplain(policy);
    for (let count = 0; count < 5; count += 1) {
      const identity = randomIdentity(r, written);
      if (namesOf(identity).length > 1) continue;
      const { decide, rules } = explain(identity);
      const matching = new Set(rules.filter(({ grant }) => grant !== undefined).map(({ rule: { name } }) => name));
      for (const role of separatedRoles) {
        if (!tenantIds.some((tenant) => isApart(decide(role, tenant)))) continue;
        refused += 1;
        const named = found.filter(({ rule: a, other: b }) => matching.has(a.name) && matching.has(b.name));
        expect(named.length > 0 || !isWhole).toBe(true);
      }
    }
  }
  expect(refused).toBeGreaterThan(100);
});

function isApart(decision: ReturnType<ReturnType<ReturnType<typeof createExplain>>["decide"]>): boolean {
  return !decision.allowed && decision.apart;
}
