/** A policy as a whole: each refusal with its line and words, each default and each warning. */
import { describe, expect, it } from "vitest";
import { readPolicy } from "../../../src/auth/policy/policy.ts";
import { policyOf, problemsOf, rule, sha256, trusted, warningsOf } from "../../support/policy-fixture.ts";

const whole = `version: 1
certificates:
  - name: mesh
    trust-domain: example.org
    ca: /run/spiffe/bundle.pem
  - name: web
    ca: /etc/fluo-kms/clients-ca.pem
    dns: [.internal.example.org]
issuers:
  - name: cluster
    issuer: https://kubernetes.default.svc.cluster.local
    audience: fluo-kms
    jwks: https://kubernetes.default.svc/openid/v1/jwks
    ca: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
    token-file: /var/run/secrets/kubernetes.io/serviceaccount/token
  - name: sso
    issuer: https://sso.example.org/realms/fluo
    audience: fluo-kms
rules:
  - name: ingest
    who: { spiffe: "spiffe://example.org/ns/fluo/sa/ingest" }
    roles: [sign, encrypt]
    tenants: "*"
  - name: tenant-backends
    who: { jwt: { issuer: cluster, subject: "system:serviceaccount:{tenant}:backend" } }
    roles: [encrypt, decrypt]
    tenants: "{tenant}"
  - name: operators
    who: { jwt: { issuer: sso, claims: { /realm_access/roles: kms-operators } } }
    roles: [status, operate]
    tenants: "*"
`;

describe("a policy", () => {
  it("has its rules in their order, with name and line", () => {
    const { rules, separation, twoPersonDestruction } = policyOf(whole);
    expect(rules.map(({ name, line }) => [name, line])).toEqual([
      ["ingest", 20],
      ["tenant-backends", 24],
      ["operators", 28],
    ]);
    expect([...rules[0]!.roles]).toEqual(["sign", "encrypt"]);
    expect(rules[0]!.tenants).toMatchObject({ all: true, captured: false, claim: undefined, within: undefined });
    expect(rules[1]!.tenants).toMatchObject({ all: false, captured: true });
    expect(rules[2]!.who).toMatchObject({ kind: "jwt", claims: [["/realm_access/roles", "kms-operators"]] });
    expect({ separation, twoPersonDestruction }).toEqual({ separation: true, twoPersonDestruction: false });
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
    expect(policy).toEqual({
      certificates: [],
      issuers: [],
      tokens: [],
      rules: [],
      separation: true,
      twoPersonDestruction: false,
    });
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

  it.each<[what: string, text: string, problems: string[]]>([
    ["no mapping", "- a\n", ["1: the policy must be a mapping, as in { version: … }"]],
    ["a text", "a\n", ["1: the policy must be a mapping, as in { version: … }"]],
    ["no version", "rules: []\n", ["1: the policy needs version"]],
    ["another version", "rules: []\nversion: 2\n", ["2: version: 1 is the one there is"]],
    ["a version of another form", "version: 1.0\nrules: []\n", ["1: version: 1 is the one there is"]],
    ["a list of versions", "version: [1]\nrules: []\n", ["1: the policy: version must be text"]],
    ["no rules", "version: 1\n", ['1: the policy needs rules, a list: each begins with "- name: …"']],
    [
      "rules that are no list",
      "version: 1\nrules:\n  a: b\n",
      ['3: the policy needs rules, a list: each begins with "- name: …"'],
    ],
    [
      "a key that it has not",
      "version: 1\nrule: []\nrules: []\n",
      [
        "2: the policy has no rule; known: version, certificates, issuers, tokens, rules, separation, destruction; did you mean rules?",
      ],
    ],
    [
      "a key of an object's members",
      "version: 1\nrules: []\n__proto__: a\n",
      ["3: the policy has no __proto__; known: version, certificates, issuers, tokens, rules, separation, destruction"],
    ],
    ["separation: false", "version: 1\nrules: []\nseparation: false\n", ["3: separation must be on or off"]],
    ["separation with a list", "version: 1\nrules: []\nseparation: [on]\n", ["3: the policy: separation must be text"]],
    [
      "three persons",
      "version: 1\nrules: []\ndestruction: three-person\n",
      ["3: destruction must be one-person or two-person"],
    ],
    ["an empty value", 'version: 1\nrules: []\nseparation: ""\n', ["3: the policy: separation must be text"]],
    ["a second document", `${whole}---\n`, ["32: a second document: a policy is one"]],
  ])("is refused with %s", (_what, text, problems) => {
    expect(problemsOf(text)).toEqual(problems);
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

  it("is not what a usual policy has", () => {
    expect(warningsOf(trusted + rule())).toEqual([]);
  });

  it.each<[what: string, lines: Parameters<typeof rule>[0], warning: string]>([
    ["decrypt for every tenant", { roles: "[decrypt]", tenants: '"*"' }, "11: rule a gives decrypt for every tenant"],
    [
      "a captured tenant without bounds",
      { who: jwt('subject: "{tenant}"'), tenants: captured },
      "14: rule a: whoever names its callers chooses their tenants; tenants: { captured: [acme, globex-*] } would bound them",
    ],
    [
      "a claimed tenant without bounds",
      { who: user, tenants: "{ claim: t }" },
      "14: rule a: whoever names its callers chooses their tenants; tenants: { claim: t, within: [acme, globex-*] } would bound them",
    ],
    [
      "metrics of some tenants",
      { roles: "[metrics]" },
      '11: rule a: metrics are of every tenant, so that role is of no use without "*"',
    ],
    ["a tenant called all", { tenants: "all" }, '14: rule a: all is one tenant\'s id; every tenant is "*"'],
    ["a tenant called any", { tenants: "[acme, any]" }, '14: rule a: any is one tenant\'s id; every tenant is "*"'],
    [
      "a subject of Kubernetes of three parts",
      { who: jwt('subject: "system:serviceaccount:*"') },
      "12: rule a: who.jwt: Kubernetes has system:serviceaccount:NAMESPACE:NAME, in four parts",
    ],
  ])("%s", (_what, lines, warning) => {
    expect(warningsOf(trusted + rule(lines))).toEqual([warning]);
  });

  it("metrics of some tenants, and not of all", () => {
    expect(warningsOf(trusted + rule({ roles: "[metrics]", tenants: '"*"' }))).toEqual([]);
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
  const eraser = (name: string, more: Parameters<typeof rule>[0]) => rule({ name, roles: "[destroy]", ...more });
  const ann = { who: "{ jwt: { issuer: sso, subject: ann } }" };
  const bob = { who: "{ jwt: { issuer: sso, subject: bob } }" };
  const team = { who: '{ spiffe: "spiffe://example.org/{tenant}" }' };
  const unconfirmed = (...rules: string[]) =>
    warningsOf(`${trusted}${rules.join("")}destruction: two-person\n`).filter((text) => text.includes("two persons"));
  const warning = (line: number, name: string, tenants: string) =>
    `${line}: rule ${name}: destruction is by two persons, and no rule gives others destroy for ${tenants}: nobody could confirm`;

  it.each<[string, string[], string[]]>([
    ["one rule alone", [eraser("a", ann)], [warning(11, "a", "acme")]],
    [
      "two rules of one caller",
      [eraser("a", ann), eraser("b", ann)],
      [warning(11, "a", "acme"), warning(15, "b", "acme")],
    ],
    [
      "rules for other tenants",
      [eraser("a", ann), eraser("b", { ...bob, tenants: "[globex, acme-*]" })],
      [warning(11, "a", "acme"), warning(15, "b", "globex")],
    ],
    [
      "a rule for every tenant, where the other is for one",
      [eraser("a", { ...ann, tenants: '"*"' }), eraser("b", bob)],
      [warning(11, "a", "every tenant")],
    ],
    [
      "a prefix of which the other has one tenant",
      [eraser("a", { ...ann, tenants: "[acme-*]" }), eraser("b", { ...bob, tenants: "[acme-1]" })],
      [warning(11, "a", "acme-*")],
    ],
    [
      "tenants that names tell, where the other names some",
      [eraser("a", { ...team, tenants: '"{tenant}"' }), eraser("b", bob)],
      [warning(11, "a", "tenants of its callers")],
    ],
    [
      "bounds that the other is not in",
      [eraser("a", { ...team, tenants: "{ captured: [globex] }" }), eraser("b", bob)],
      [warning(11, "a", "globex"), warning(15, "b", "acme")],
    ],
    [
      "tenants that names tell, where the other's are bounded",
      [
        eraser("a", { ...team, tenants: '"{tenant}"' }),
        eraser("b", { who: '{ spiffe: "spiffe://example.org/b/{tenant}" }', tenants: "{ captured: [acme] }" }),
      ],
      [warning(11, "a", "tenants of its callers")],
    ],
    ["two callers for one tenant", [eraser("a", ann), eraser("b", bob)], []],
    [
      "two callers for every tenant",
      [eraser("a", { ...ann, tenants: '"*"' }), eraser("b", { ...bob, tenants: '"*"' })],
      [],
    ],
    [
      "a prefix within another's",
      [
        eraser("a", { ...ann, tenants: "[acme-eu-*, acme-1]" }),
        eraser("b", { ...bob, tenants: "[acme-*, acme-eu-*]" }),
        eraser("c", { who: "{ jwt: { issuer: sso, subject: eve } }", tenants: "[acme-*]" }),
      ],
      [],
    ],
    [
      "what a claim may name",
      [
        eraser("a", { ...ann, tenants: "{ claim: kms_tenants }" }),
        eraser("b", { ...team, tenants: '"{tenant}"' }),
        eraser("c", bob),
      ],
      [],
    ],
    ["bounds that the other is in", [eraser("a", { ...team, tenants: "{ captured: [acme] }" }), eraser("b", bob)], []],
    ["nobody who may destroy", [rule()], []],
  ])("warns, or not, with %s", (_, rules, warnings) => {
    expect(unconfirmed(...rules)).toEqual(warnings);
    expect(warningsOf(trusted + rules.join("")).filter((text) => text.includes("two persons"))).toEqual([]);
  });
});
