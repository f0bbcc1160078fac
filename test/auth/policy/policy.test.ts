/** A policy as a whole: each refusal with its line and words, each default and each warning. */
import { describe, expect, it } from "vitest";
import { readPolicy } from "../../../src/auth/policy/policy.ts";
import { policyOf, problemsOf, rule, sha256, trusted, warningsOf } from "../../support/policy-fixture.ts";

describe("a policy", () => {
  it("has its rules in their order, with name and line", () => {
    const read = policyOf(trusted + rule() + rule({ name: "c" }) + rule({ name: "b" }));
    expect(read.rules.map(({ name, line }) => [name, line])).toEqual([
      ["a", 11],
      ["c", 15],
      ["b", 19],
    ]);
    expect(read).toMatchObject({ separation: true, twoPersonDestruction: false });
  });

  it("is the same in JSON", () => {
    const policy = { version: "1", tokens: [{ name: "t", sha256, expires: "2027-06-30" }] };
    const rules = [{ name: "a", who: { token: "t" }, roles: ["sign"], tenants: "*", limit: 5 }];
    const read = policyOf(JSON.stringify({ ...policy, rules }, undefined, 1));
    expect(read.rules).toMatchObject([
      { name: "a", who: { kind: "token", token: "t" }, limit: 5, tenants: { all: true } },
    ]);
  });

  it("may have no rules, and then gives nothing", () => {
    const { policy, warnings } = readPolicy("version: 1\nrules: []\n");
    const lists = { certificates: [], issuers: [], tokens: [], rules: [] };
    expect(policy).toEqual({ ...lists, separation: true, twoPersonDestruction: false });
    expect(warnings.map(({ line, text }) => `${line}: ${text}`)).toEqual([
      "2: no rule gives operate",
      "2: no rule gives key-admin",
    ]);
  });

  it("may have two persons for a destruction, and no separation", () => {
    const set = (line: string) => policyOf(`version: 1\n${line}\nrules: []\n`);
    expect(set("destruction: two-person").twoPersonDestruction).toBe(true);
    expect(set("destruction: one-person").twoPersonDestruction).toBe(false);
    expect(set("separation: off").separation).toBe(false);
    expect(set("separation: on").separation).toBe(true);
  });

  const noMapping = "1: the policy must be a mapping, as in { version: … }";
  const noRules = 'the policy needs rules, a list: each begins with "- name: …"';
  const known = "version, certificates, issuers, tokens, rules, separation, destruction";
  it.each([
    ["- a\n", noMapping],
    ["a\n", noMapping],
    ["rules: []\n", "1: the policy needs version"],
    ["rules: []\nversion: 2\n", "2: version: 1 is the one there is"],
    ["version: 1.0\nrules: []\n", "1: version: 1 is the one there is"],
    ["version: [1]\nrules: []\n", "1: the policy: version must be text"],
    ["version: 1\n", `1: ${noRules}`],
    ["version: 1\nrules:\n  a: b\n", `3: ${noRules}`],
    ["version: 1\nrule: []\nrules: []\n", `2: the policy has no rule; known: ${known}; did you mean rules?`],
    ["version: 1\nrules: []\n__proto__: a\n", `3: the policy has no __proto__; known: ${known}`],
    ["version: 1\nrules: []\nseparation: false\n", "3: separation must be on or off"],
    ["version: 1\nrules: []\nseparation: [on]\n", "3: the policy: separation must be text"],
    ["version: 1\nrules: []\ndestruction: three-person\n", "3: destruction must be one-person or two-person"],
    ['version: 1\nrules: []\nseparation: ""\n', "3: the policy: separation must be text"],
    ["version: 1\nrules: []\n---\n", "3: a second document: a policy is one"],
  ])("is refused: %j", (text, problem) => {
    expect(problemsOf(text)).toEqual([problem]);
    expect(readPolicy(text).policy).toBeUndefined();
  });

  it("is refused whole for one bad rule, with all problems by line", () => {
    const bad = trusted + rule({ roles: "[sing]" }) + rule({ name: "b" }) + rule({ name: "c", tenants: "[Acme]" });
    expect(problemsOf(bad)).toEqual([
      expect.stringMatching(/^13: rule a: no role sing; there are .*; did you mean sign\?$/),
      expect.stringMatching(/^22: rule c: tenants: Acme is no tenant id/),
    ]);
    expect(readPolicy(bad).policy).toBeUndefined();
  });

  it("may have 10,000 rules, and no more", () => {
    const rules = (count: number) => problemsOf(`version: 1\nrules:\n${"- a\n".repeat(count)}`);
    expect(rules(10_000)[0]).toBe("3: a rule must be a mapping, as in { name: … }");
    expect(rules(10_001)).toEqual(["3: 10001 rules, of at most 10000"]);
  });

  it("tells a hundred problems at most", () => {
    const keys = Array.from({ length: 150 }, (_, at) => `k${at}: v\n`).join("");
    expect(problemsOf(`version: 1\nrules: []\n${keys}`)).toHaveLength(100);
    expect(problemsOf(`version: 1\nrules:\n${"  - a\n".repeat(150)}`)).toHaveLength(100);
  });
});

const jwt = (inner: string) => `{ jwt: { issuer: sso, ${inner} } }`;
const captured = '"{tenant}"';

describe("what is allowed and should be looked at", () => {
  const user = jwt("subject: u");
  const unbounded = "14: rule a: whoever names its callers chooses their tenants; tenants:";
  const four = "12: rule a: who.jwt: Kubernetes has system:serviceaccount:NAMESPACE:NAME, in four parts";

  it.each<[lines: Parameters<typeof rule>[0], warning?: string]>([
    [{}],
    [{ roles: "[decrypt]", tenants: '"*"' }, "11: rule a gives decrypt for every tenant"],
    [
      { who: jwt(`subject: ${captured}`), tenants: captured },
      `${unbounded} { captured: [acme, globex-*] } would bound them`,
    ],
    [{ who: user, tenants: "{ claim: t }" }, `${unbounded} { claim: t, within: [acme, globex-*] } would bound them`],
    [{ roles: "[metrics]" }, '11: rule a: metrics are of every tenant, so that role is of no use without "*"'],
    [{ roles: "[metrics]", tenants: '"*"' }],
    [{ tenants: "all" }, '14: rule a: all is one tenant\'s id; every tenant is "*"'],
    [{ tenants: "[acme, any]" }, '14: rule a: any is one tenant\'s id; every tenant is "*"'],
    [{ who: jwt('subject: "system:serviceaccount:*"') }, four],
  ])("%j", (lines, warning) => {
    expect(warningsOf(trusted + rule(lines))).toEqual(warning ? [warning] : []);
  });

  it("separation that is off", () => {
    expect(warningsOf(trusted.replace("rules:", "separation: off\nrules:") + rule())).toEqual([
      "10: separation is off: who may decrypt may also destroy",
    ]);
  });

  it("no rule for operate or key-admin, whichever is missing", () => {
    const texts = (roles: string) =>
      readPolicy(trusted + rule({ roles })).warnings.map(({ line, text }) => `${line}: ${text}`);
    expect(texts("[operate]")).toEqual(["11: no rule gives key-admin"]);
    expect(texts("[key-admin]")).toEqual(["11: no rule gives operate"]);
    expect(texts("[key-admin, operate]")).toEqual([]);
  });

  it("is told beside problems too, by line", () => {
    const text = trusted + rule({ tenants: "all" }) + rule({ name: "b", tenants: "any", roles: "[sing]" });
    const { policy, warnings } = readPolicy(text);
    expect(policy).toBeUndefined();
    expect(warnings.map(({ line }) => line)).toEqual([11, 11, 14, 18]);
  });
});

describe("destruction by two persons", () => {
  type Lines = Parameters<typeof rule>[0];
  const by = (subject: string, tenants = "[acme]"): Lines => ({ who: jwt(`subject: ${subject}`), tenants });
  const team = (tenants: string): Lines => ({ who: '{ spiffe: "spiffe://example.org/{tenant}" }', tenants });
  const erasers = (all: readonly Lines[]) =>
    all.map((lines, at) => rule({ name: "abc"[at]!, roles: "[destroy]", ...lines })).join("");
  const warnings = (text: string) => warningsOf(trusted + text).filter((each) => each.includes("two persons"));
  const [ann, bob] = [by("ann"), by("bob")];

  it.each<[string, Lines[], first?: string, second?: string]>([
    ["one rule alone", [ann], "acme"],
    ["two rules of one caller", [ann, ann], "acme", "acme"],
    ["rules for other tenants", [ann, by("bob", "[globex, acme-*]")], "acme", "globex"],
    ["a rule for every tenant, where the other is for one", [by("ann", '"*"'), bob], "every tenant"],
    ["a prefix of which the other has one tenant", [by("ann", "[acme-*]"), by("bob", "[acme-1]")], "acme-*"],
    ["tenants that names tell, where the other names some", [team(captured), bob], "tenants of its callers"],
    ["bounds that the other is not in", [team("{ captured: [globex] }"), bob], "globex", "acme"],
    [
      "tenants that names tell, where the other's are bounded",
      [team(captured), { who: '{ spiffe: "spiffe://example.org/b/{tenant}" }', tenants: "{ captured: [acme] }" }],
      "tenants of its callers",
    ],
    ["two callers for one tenant", [ann, bob]],
    ["two callers for every tenant", [by("ann", '"*"'), by("bob", '"*"')]],
    [
      "a prefix within another's",
      [by("ann", "[acme-eu-*, acme-1]"), by("bob", "[acme-*, acme-eu-*]"), by("eve", "[acme-*]")],
    ],
    ["what a claim may name", [by("ann", "{ claim: kms_tenants }"), team(captured), bob]],
    ["bounds that the other is in", [team("{ captured: [acme] }"), bob]],
    ["nobody who may destroy", [{ roles: "[sign]" }]],
  ])("warns, or not, with %s", (_, rules, ...tenants) => {
    const why = "destruction is by two persons, and no rule gives others destroy for";
    expect(warnings(`${erasers(rules)}destruction: two-person\n`)).toEqual(
      tenants.map((each, at) => `${11 + 4 * at}: rule ${"abc"[at]}: ${why} ${each}: nobody could confirm`),
    );
    expect(warnings(erasers(rules))).toEqual([]);
  });
});
