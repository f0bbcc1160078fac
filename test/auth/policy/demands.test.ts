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
  const worded = (word: string) => demand(spiffe("/a")).replace("required", word);
  const about = "token: required is about certificates";
  const gives = (keys: string) => `token: required gives nothing, so ${keys} belong into a rule of their own`;

  it.each([
    [worded("optional"), "token must be required, not optional"],
    [worded("true"), "token must be required, not true"],
    [worded("REQUIRED"), "token must be required, not REQUIRED"],
    [worded("[required]"), "token must be text"],
    [worded('""'), "token must be text"],
    [demand(spiffe("/a"), ", roles: [sign]"), gives("roles")],
    [demand(spiffe("/a"), ", roles: [sign], tenants: [acme], limit: 5"), gives("roles and tenants and limit")],
    [demand("{ token: prometheus }"), `${about}: who must be spiffe or dns`],
    [demand("{ jwt: { issuer: sso, subject: ann } }"), `${about}: who must be spiffe or dns`],
    [
      demand(spiffe("/ns/{tenant}/sa/gateway")),
      "token: required gives no tenant, so {tenant} is of no use in who: write *",
    ],
    [
      demand('{ spiffe: "spiffe://svid.example.org/a" }'),
      `${about}, and no entry of certificates has that trust domain`,
    ],
    ["  - { name: d, token: required }\n", "needs who"],
  ])("%s", (text, problem) => {
    expect(problemsOf(trusted + text)).toEqual([`11: rule d: ${problem}`]);
    // Which trust domains there are is beyond a schema.
    expect(isValid(schema, parse(trusted + text))).toBe(problem.includes("that trust domain"));
  });

  it.each([spiffe("/a"), spiffe("/ns/*/sa/gateway"), dns("a"), dns("*")])("never where it is right: %s", (who) => {
    expect(problemsOf(trusted + demand(who))).toEqual([]);
    expect(isValid(schema, parse(trusted + demand(who)))).toBe(true);
  });
});

describe("a warning is told", () => {
  const nothing = (line: number, name = "a") =>
    `${line}: rule ${name} gives nothing: rule d demands a token beside that certificate, which then counts alone`;

  it.each<[giving: string, demanded: string, isTold: boolean]>([
    [spiffe("/ns/a/sa/b"), spiffe("/ns/a/sa/b"), true],
    [spiffe("/ns/a/sa/b"), spiffe("/ns/*/sa/b"), true],
    [spiffe("/ns/*/sa/b"), spiffe("/ns/*/sa/b"), true],
    [dns("a"), dns("*"), true],
    [spiffe("/ns/*/sa/b"), spiffe("/ns/a/sa/b"), false],
    [spiffe("/ns/a/sa/b/c"), spiffe("/ns/*/sa/b"), false],
    [spiffe("/a"), dns("a"), false],
    [dns("b"), dns("a"), false],
    ["{ token: prometheus }", spiffe("/a"), false],
  ])("of a rule whose callers all need a token: %s under %s: %s", (giving, demanded, isTold) => {
    const told = warningsOf(trusted + rule({ who: giving }) + demand(demanded));
    expect(told).toEqual(isTold ? [nothing(11)] : []);
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
