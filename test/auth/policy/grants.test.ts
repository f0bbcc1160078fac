/** What the rules of a policy give an identity: by its kind, its names and its claims, and each rule by itself. */
import { describe, expect, it } from "vitest";
import { createMatcher, type Grants, grantFor, grantOf, holdsOne, matchWho } from "../../../src/auth/policy/grants.ts";
import { entryOf, type Identity, nameOf, namesOf } from "../../../src/auth/policy/identity.ts";
import type { Rule } from "../../../src/auth/policy/rules.ts";
import { human, policyOf, prometheus, rule, trusted, workload } from "../../support/policy-fixture.ts";

const dns = (...names: [string, ...string[]]): Identity => ({ kind: "dns", certificates: "web", names });

function grantsOf(identity: Identity, ...rules: string[]): Grants {
  return createMatcher(policyOf(trusted + rules.join("")).rules)(identity);
}

/** The names of the rules that match. */
const matching = (identity: Identity, ...rules: string[]) => grantsOf(identity, ...rules).map(({ rule: name }) => name);

const dnsRule = (name: string) => `{ dns: { certificates: web, name: "${name}" } }`;
const jwt = (inner: string) => `{ jwt: { issuer: sso, ${inner} } }`;
const bySubject = { who: jwt("subject: u1") };

describe("an identity", () => {
  it("has a text that no other has, and the names that rules are held against", () => {
    const all: [Identity, string, readonly string[], string][] = [
      [workload("/a"), "spiffe://example.org/a", ["spiffe://example.org/a"], ""],
      [dns("a.b", "c.d"), "dns:web:a.b", ["a.b", "c.d"], "web"],
      [human({}, "sub:1"), "jwt:sso:sub:1", ["sub:1"], "sso"],
      [prometheus, "token:prometheus", ["prometheus"], ""],
    ];
    for (const [identity, name, names, entry] of all) {
      expect(nameOf(identity)).toBe(name);
      expect(namesOf(identity)).toEqual(names);
      expect(entryOf(identity)).toBe(entry);
    }
    expect(new Set(all.map(([identity]) => nameOf(identity))).size).toBe(4);
  });
});

describe("a rule matches", () => {
  it("a token by its name", () => {
    expect(matching(prometheus, rule())).toEqual(["a"]);
    expect(matching({ kind: "token", token: "prometheus2" }, rule())).toEqual([]);
  });

  it("a SPIFFE id, exact or by its parts", () => {
    const exact = rule({ who: '{ spiffe: "spiffe://example.org/ns/a" }' });
    const any = rule({ name: "b", who: '{ spiffe: "spiffe://example.org/ns/*" }' });
    expect(matching(workload("/ns/a"), exact, any)).toEqual(["a", "b"]);
    expect(matching(workload("/ns/b"), exact, any)).toEqual(["b"]);
    expect(matching(workload("/ns/a/b"), exact, any)).toEqual([]);
    expect(matching({ kind: "spiffe", id: "spiffe://svid.example.org/ns/a" }, exact, any)).toEqual([]);
  });

  it("certificates of the entry that it names, by any of their names", () => {
    const who = dnsRule("a.internal.example.org");
    expect(matching(dns("a.internal.example.org"), rule({ who }))).toEqual(["a"]);
    expect(matching(dns("b.internal.example.org", "a.internal.example.org"), rule({ who }))).toEqual(["a"]);
    expect(matching(dns("b.internal.example.org"), rule({ who }))).toEqual([]);
    const other: Identity = { kind: "dns", certificates: "mesh", names: ["a.internal.example.org"] };
    expect(matching(other, rule({ who }))).toEqual([]);
    const star = rule({ who: dnsRule("*.internal.example.org") });
    expect(matching(dns("x.internal.example.org"), star)).toEqual(["a"]);
    expect(matching({ ...other, names: ["x.internal.example.org"] }, star)).toEqual([]);
  });

  it("tokens of the issuer that it names, by subject, claims or both", () => {
    const both = rule({ name: "both", who: jwt("subject: u1, claims: { r: x, /m/n: y }") });
    const claims = rule({ name: "claims", who: jwt("claims: { r: x }") });
    const subject = rule({ name: "subject", ...bySubject });
    const all = [both, claims, subject];
    expect(matching(human({ r: "x", m: { n: ["y"] } }), ...all)).toEqual(["both", "claims", "subject"]);
    expect(matching(human({ r: "x", m: { n: "z" } }), ...all)).toEqual(["claims", "subject"]);
    expect(matching(human({ r: "x", m: { n: "y" } }, "u2"), ...all)).toEqual(["claims"]);
    expect(matching(human({}), ...all)).toEqual(["subject"]);
    const elsewhere: Identity = { kind: "jwt", issuer: "spire", subject: "u1", claims: { r: "x", m: { n: "y" } } };
    expect(matching(elsewhere, ...all)).toEqual([]);
  });

  it("no identity of another kind with the same text", () => {
    const rules = [rule(), rule({ name: "b", who: jwt("subject: prometheus") })];
    expect(matching(human({}, "prometheus"), ...rules)).toEqual(["b"]);
    expect(matching(prometheus, ...rules)).toEqual(["a"]);
    expect(matching({ kind: "spiffe", id: "prometheus" }, ...rules)).toEqual([]);
  });

  it("in the order of the file, exact or not, and once", () => {
    const names = ["e", "d", "c", "b", "a"];
    const rules = names.map((name, at) =>
      rule({ name, who: `{ spiffe: "spiffe://example.org/${at % 2 ? "*" : "x"}" }`, roles: "[sign]" }),
    );
    expect(matching(workload("/x"), ...rules)).toEqual(names);
    const who = dnsRule("a.internal.example.org");
    expect(matching(dns("a.internal.example.org", "a.internal.example.org"), rule({ who }))).toEqual(["a"]);
  });

  it("nobody by names of objects' members", () => {
    for (const name of ["__proto__", "constructor", "toString", ""]) {
      expect(matching({ kind: "token", token: name }, rule())).toEqual([]);
      expect(matching(human({}, name), rule(bySubject))).toEqual([]);
    }
  });
});

it("a rule by itself matches what it is asked of, and nobody of another kind, entry or issuer", () => {
  const [byToken, byDns, bySub] = policyOf(
    trusted +
      rule() +
      rule({ name: "b", who: dnsRule("*.internal.example.org") }) +
      rule({ name: "c", who: jwt('subject: "*:x"') }),
  ).rules as [Rule, Rule, Rule];
  const certificate = dns("a.internal.example.org");
  const all: [Rule, ...(readonly Identity[])][] = [
    [byToken, prometheus, human({}, "prometheus"), { kind: "token", token: "other" }],
    [
      byDns,
      certificate,
      { ...certificate, certificates: "mesh" } as Identity,
      { kind: "spiffe", id: "a.internal.example.org" },
    ],
    [bySub, human({}, "a:x"), { ...human({}, "a:x"), issuer: "spire" } as Identity, { kind: "spiffe", id: "a:x" }],
  ];
  for (const [one, its, ...others] of all) {
    expect(matchWho(one.who, its!)).toEqual([]);
    for (const other of others) {
      expect(matchWho(one.who, other)).toBeUndefined();
      expect(grantOf(one, other)).toBeUndefined();
    }
  }
  expect(grantOf(byToken, prometheus)).toMatchObject({ rule: "a", all: false, limit: undefined });
});

describe("the tenants of a rule", () => {
  const allowed = (grants: Grants, ...tenants: string[]) =>
    tenants.filter((tenant) => grantFor(grants, "sign", tenant));

  it("attack 46: are those that it names, and not their neighbours", () => {
    const grants = grantsOf(prometheus, rule({ tenants: "[acme, globex-*]" }));
    const near = ["acme", "acmex", "acme-", "acm", "globex-eu", "globex-", "globex", "globexx", "globex.eu", "other"];
    expect(allowed(grants, ...near, "*", "globex-*")).toEqual(["acme", "globex-eu", "globex-", "globex-*"]);
    expect(grantFor(grants, "sign")).toBeUndefined();
  });

  it("are all of them for a star, and what names no tenant", () => {
    const grants = grantsOf(prometheus, rule({ tenants: '"*"' }));
    expect(allowed(grants, "acme", "other")).toEqual(["acme", "other"]);
    expect(grantFor(grants, "sign")).toMatchObject({ rule: "a", all: true });
    expect(grantFor(grants, "decrypt")).toBeUndefined();
  });

  it("are captured from each name that matches, beside those that are named", () => {
    const who = dnsRule("{tenant}.internal.example.org");
    const grants = grantsOf(
      dns("acme.internal.example.org", "globex.internal.example.org", "other.example.org", "X.internal.example.org"),
      rule({ who, tenants: '["{tenant}", shared]' }),
    );
    expect(allowed(grants, "acme", "globex", "shared", "other", "x")).toEqual(["acme", "globex", "shared"]);
  });

  it.each([
    ["/acme", ["acme"]],
    ["/globex-eu", ["globex-eu"]],
    ["/globex", []],
    ["/acme-eu", []],
    ["/other", []],
  ])("are captured within bounds alone, if there are any: of %s", (path, tenants) => {
    const who = '{ spiffe: "spiffe://example.org/{tenant}" }';
    const grants = grantsOf(workload(path), rule({ who, tenants: "{ captured: [acme, globex-*] }" }));
    expect(allowed(grants, "acme", "globex-eu", "globex", "acme-eu", "other")).toEqual(tenants);
  });

  const claimed = rule({ ...bySubject, tenants: "{ claim: t }" });

  it("are claimed by one text or many", () => {
    expect(allowed(grantsOf(human({ t: "acme" }), claimed), "acme", "globex")).toEqual(["acme"]);
    const both = ["acme", "globex"];
    expect(allowed(grantsOf(human({ t: both }), claimed), ...both, "x")).toEqual(both);
    const pointer = rule({ ...bySubject, tenants: "{ claim: /a/t }" });
    expect(allowed(grantsOf(human({ a: { t: ["acme"] } }), pointer), "acme")).toEqual(["acme"]);
  });

  it.each<[t: unknown]>([
    ...["*", "ACME", "a/b", "acme-*", "acme globex", "acme,globex", "", "{tenant}"].map((t): [string] => [t]),
    [Array.from({ length: 101 }, () => "acme")],
    [[["acme"]]],
    [{ acme: true }],
    [{ 0: "acme", length: 1 }],
    [5],
    [true],
    [null],
    [undefined],
  ])("attack 47: are not claimed by %j", (t) => {
    const grants = grantsOf(human({ t }), claimed);
    expect(allowed(grants, "acme", "globex", "5", "true", "a", "*", "acme-eu", "null")).toEqual([]);
    expect(grantFor(grants, "sign")).toBeUndefined();
    expect(grants.map(({ tenants }) => tenants.ids.size)).toEqual([0]);
  });

  it("attack 47: are claimed without what is no tenant, up to a hundred", () => {
    const t = ["*", "ACME", "acme", 5, null, "globex", "a/b"];
    expect(allowed(grantsOf(human({ t }), claimed), "acme", "globex", "5", "a")).toEqual(["acme", "globex"]);
    const hundred = Array.from({ length: 100 }, (_, at) => `t${at}`);
    expect(allowed(grantsOf(human({ t: hundred }), claimed), ...hundred)).toEqual(hundred);
  });

  it("are claimed within bounds alone, if there are any", () => {
    const bounded = rule({ ...bySubject, tenants: "{ claim: t, within: [acme, globex-*] }" });
    const grants = grantsOf(human({ t: ["acme", "globex-eu", "other", "globex"] }), bounded);
    expect(allowed(grants, "acme", "globex-eu", "other", "globex")).toEqual(["acme", "globex-eu"]);
    expect(allowed(grantsOf(human({ t: [] }), bounded), "acme", "globex-eu")).toEqual([]);
  });
});

describe("grants", () => {
  it("attack 51: of two rules never mix, and of two that give the same the first is told", () => {
    const grants = grantsOf(
      prometheus,
      rule({ name: "one", roles: "[decrypt]", tenants: "[a]" }),
      rule({ name: "two", roles: "[sign, verify]", tenants: "[b]" }),
    );
    expect(grantFor(grants, "decrypt", "a")?.rule).toBe("one");
    expect(grantFor(grants, "sign", "b")?.rule).toBe("two");
    expect(grantFor(grants, "decrypt", "b")).toBeUndefined();
    for (const role of ["sign", "verify", "encrypt"] as const) expect(grantFor(grants, role, "a")).toBeUndefined();
    const names = { one: "[b]", two: '"*"', three: "[a]" };
    const three = grantsOf(prometheus, ...Object.entries(names).map(([name, tenants]) => rule({ name, tenants })));
    expect(["a", "b", undefined].map((tenant) => grantFor(three, "sign", tenant)?.rule)).toEqual(["two", "one", "two"]);
  });

  it("have the limit of their rule", () => {
    const rules = [rule({ more: "    limit: 7\n" }), rule({ name: "b" })];
    expect(grantsOf(prometheus, ...rules).map(({ limit }) => limit)).toEqual([7, undefined]);
  });

  it("of one identity leave those of another as they are", () => {
    const match = createMatcher(policyOf(trusted + rule({ ...bySubject, tenants: "{ claim: t }" })).rules);
    const [first, second] = [match(human({ t: "acme" })), match(human({ t: "globex" }))];
    expect(grantFor(first, "sign", "globex")).toBeUndefined();
    expect(grantFor(second, "sign", "acme")).toBeUndefined();
    expect(grantFor(first, "sign", "acme")).toBeDefined();
  });

  it("hold one of some roles for a tenant, or for any", () => {
    const grants = grantsOf(
      human({ t: "*" }),
      rule({ name: "one", ...bySubject, roles: "[decrypt]", tenants: "[a]" }),
      rule({ name: "two", ...bySubject, roles: "[verify]", tenants: "[acme-*]" }),
      rule({ name: "three", ...bySubject, roles: "[audit]", tenants: "{ claim: t }" }),
      rule({ name: "four", ...bySubject, roles: "[metrics]", tenants: '"*"' }),
    );
    expect(holdsOne(grants, ["sign", "decrypt"], "a")).toBe(true);
    expect(holdsOne(grants, ["sign", "decrypt"], "b")).toBe(false);
    expect(holdsOne(grants, [], "a")).toBe(false);
    for (const role of ["decrypt", "verify", "metrics"] as const)
      expect(holdsOne(grants, [role], undefined)).toBe(true);
    for (const role of ["sign", "audit"] as const) expect(holdsOne(grants, [role], undefined)).toBe(false);
  });
});
