/** Rules that demand a token beside a certificate: whom each is about, how it is written, and what it leaves of the rules of others. */
import { describe, expect, it } from "vitest";
import schema from "../../../docs/policies/policy.schema.json" with { type: "json" };
import { createDemands, createMatcher, grantOf } from "../../../src/auth/policy/grants.ts";
import type { Identity } from "../../../src/auth/policy/identity.ts";
import { readPolicy } from "../../../src/auth/policy/policy.ts";
import { parse } from "yaml";
import { isValid } from "../../support/json-schema.ts";
import {
  human,
  policyOf,
  problemsOf,
  prometheus,
  rule,
  trusted,
  warningsOf,
  workload,
} from "../../support/policy-fixture.ts";

const spiffe = (path: string) => `{ spiffe: "spiffe://example.org${path}" }`;
const dns = (name: string) => `{ dns: { certificates: web, name: "${name}.internal.example.org" } }`;
const demand = (who: string, more = "", name = "d") => `  - { name: ${name}, who: ${who}, token: required${more} }\n`;
const certificate = (...names: [string, ...string[]]): Identity => ({ kind: "dns", certificates: "web", names });

/** The rule that demands a token of an identity's certificate. */
function demandOn(identity: Identity, ...rules: string[]): string | undefined {
  return createDemands(policyOf(trusted + rules.join("")).rules)(identity)?.name;
}

describe("a demand", () => {
  it("is of the certificates that its rule matches, by any of their names, and of no others", () => {
    const rules = [demand(spiffe("/ns/*/sa/gateway")), demand(dns("edge"), "", "e")];
    expect(demandOn(workload("/ns/a/sa/gateway"), ...rules)).toBe("d");
    expect(demandOn(workload("/ns/a/sa/backend"), ...rules)).toBeUndefined();
    expect(demandOn(certificate("edge.internal.example.org"), ...rules)).toBe("e");
    expect(demandOn(certificate("a.internal.example.org", "edge.internal.example.org"), ...rules)).toBe("e");
    expect(demandOn(certificate("a.internal.example.org"), ...rules)).toBeUndefined();
    const ofOtherEntry: Identity = { kind: "dns", certificates: "lan", names: ["edge.internal.example.org"] };
    for (const other of [ofOtherEntry, human(), prometheus]) expect(demandOn(other, ...rules)).toBeUndefined();
  });

  it("is none of a rule that gives", () => {
    expect(demandOn(workload("/a"), rule({ who: spiffe("/a") }))).toBeUndefined();
  });

  it("gives nothing, and makes nobody a caller", () => {
    const { rules } = policyOf(trusted + demand(spiffe("/a")));
    expect(createMatcher(rules)(workload("/a"))).toEqual([]);
    expect(grantOf(rules[0]!, workload("/a"))).toBeUndefined();
    expect(rules[0]).toMatchObject({ demandsToken: true, limit: undefined, tenants: { all: false } });
    expect(rules[0]!.roles.size).toBe(0);
  });
});

describe("a demand is refused", () => {
  it.each<[what: string, text: string, problem: string]>([
    [
      "with another word",
      demand(spiffe("/a")).replace("required", "optional"),
      "rule d: token must be required, not optional",
    ],
    ["with true", demand(spiffe("/a")).replace("required", "true"), "rule d: token must be required, not true"],
    [
      "with REQUIRED",
      demand(spiffe("/a")).replace("required", "REQUIRED"),
      "rule d: token must be required, not REQUIRED",
    ],
    ["with a list", demand(spiffe("/a")).replace("required", "[required]"), "rule d: token must be text"],
    ["with nothing", demand(spiffe("/a")).replace("required", '""'), "rule d: token must be text"],
    [
      "with roles",
      demand(spiffe("/a"), ", roles: [sign]"),
      "rule d: token: required gives nothing, so roles belong into a rule of their own",
    ],
    [
      "with roles, tenants and a limit",
      demand(spiffe("/a"), ", roles: [sign], tenants: [acme], limit: 5"),
      "rule d: token: required gives nothing, so roles and tenants and limit belong into a rule of their own",
    ],
    [
      "of a token",
      demand("{ token: prometheus }"),
      "rule d: token: required is about certificates: who must be spiffe or dns",
    ],
    [
      "of an issuer's subject",
      demand("{ jwt: { issuer: sso, subject: ann } }"),
      "rule d: token: required is about certificates: who must be spiffe or dns",
    ],
    [
      "with a tenant in who",
      demand(spiffe("/ns/{tenant}/sa/gateway")),
      "rule d: token: required gives no tenant, so {tenant} is of no use in who: write *",
    ],
    [
      "of a trust domain without certificates",
      demand('{ spiffe: "spiffe://svid.example.org/a" }'),
      "rule d: token: required is about certificates, and no entry of certificates has that trust domain",
    ],
    ["without who", "  - { name: d, token: required }\n", "rule d: needs who"],
  ])("%s", (_, text, problem) => {
    expect(problemsOf(trusted + text)).toEqual([`11: ${problem}`]);
    // Which trust domains there are is beyond a schema.
    expect(isValid(schema, parse(trusted + text))).toBe(problem.includes("that trust domain"));
  });

  it("by nobody where it is right", () => {
    for (const who of [spiffe("/a"), spiffe("/ns/*/sa/gateway"), dns("a"), dns("*")]) {
      expect(problemsOf(trusted + demand(who))).toEqual([]);
      expect(isValid(schema, parse(trusted + demand(who)))).toBe(true);
    }
  });
});

describe("a warning is told", () => {
  const nothing = (line: number, name = "a") =>
    `${line}: rule ${name} gives nothing: rule d demands a token beside that certificate, which then counts alone`;

  it("of a rule whose callers all need a token, as it gives them nothing", () => {
    const told = (giving: string, demanded: string) => warningsOf(trusted + rule({ who: giving }) + demand(demanded));
    for (const [giving, demanded] of [
      [spiffe("/ns/a/sa/b"), spiffe("/ns/a/sa/b")],
      [spiffe("/ns/a/sa/b"), spiffe("/ns/*/sa/b")],
      [spiffe("/ns/*/sa/b"), spiffe("/ns/*/sa/b")],
      [dns("a"), dns("*")],
    ] as const) {
      expect(told(giving, demanded)).toEqual([nothing(11)]);
    }
    for (const [giving, demanded] of [
      [spiffe("/ns/*/sa/b"), spiffe("/ns/a/sa/b")],
      [spiffe("/ns/a/sa/b/c"), spiffe("/ns/*/sa/b")],
      [spiffe("/a"), dns("a")],
      [dns("b"), dns("a")],
      ["{ token: prometheus }", spiffe("/a")],
    ] as const) {
      expect(told(giving, demanded)).toEqual([]);
    }
  });

  it("of none whose callers may have a JWT-SVID", () => {
    const both = trusted.replace("trust-domain: svid.example.org", "trust-domain: example.org");
    expect(warningsOf(both + rule({ who: spiffe("/a") }) + demand(spiffe("/a")))).toEqual([]);
  });

  it("of a role that such rules alone give", () => {
    const giving = rule({ who: spiffe("/a"), roles: "[operate, key-admin]", tenants: '"*"' });
    const told = (text: string) =>
      readPolicy(trusted + text).warnings.map(({ line, text: what }) => `${line}: ${what}`);
    expect(told(giving)).toEqual([]);
    expect(told(giving + demand(spiffe("/a")))).toEqual([
      nothing(11),
      "11: no rule gives operate",
      "11: no rule gives key-admin",
    ]);
  });

  it("where nobody could have a token", () => {
    const text = `version: 1
certificates: [{ name: mesh, trust-domain: example.org, ca: /etc/ca.pem }]
rules:
${demand(spiffe("/a"))}`;
    expect(warningsOf(text)).toEqual(["4: rule d demands a token, and the policy has neither issuers nor tokens"]);
  });
});
