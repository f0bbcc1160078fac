/** Rules: whom they match, which roles they give for which tenants; each refusal with its line and words. */
import { describe, expect, it } from "vitest";
import { type Policy, readPolicy } from "../../../src/auth/policy/policy.ts";
import { policyOf, problemsOf, rule, trusted } from "../../support/policy-fixture.ts";

const only = (lines: Parameters<typeof rule>[0]): Policy["rules"][number] => policyOf(trusted + rule(lines)).rules[0]!;

const roleList =
  "sign, verify, encrypt, re-encrypt, decrypt, generate-data-key, decrypt-data-key, status, metrics, operate, audit, key-admin, mark-compromised, destroy, break-glass";
const noTenantId = "is no tenant id (a-z 0-9 . _ -), and no prefix such as acme-*, whose star follows . _ or -";
const jwt = (inner: string) => `{ jwt: { issuer: sso, ${inner} } }`;
const captured = '"{tenant}"';

describe("a rule is refused", () => {
  it.each<[what: string, lines: string | Parameters<typeof rule>[0], problems: string[]]>([
    ["that is no mapping", "  - sign\n", ["11: a rule must be a mapping, as in { name: … }"]],
    [
      "with a key that it has not",
      { more: "    tenant: acme\n" },
      ["15: a rule has no tenant; known: name, who, roles, tenants, limit, token; did you mean tenants?"],
    ],
    [
      "without a name",
      "  - who: { token: prometheus }\n    roles: [sign]\n    tenants: a\n",
      ["11: a rule needs name"],
    ],
    ["with a name in capitals", { name: "Ingest" }, ["11: rule Ingest: a name matches ^[a-z][a-z0-9-]{0,31}$"]],
    ["with a name that begins with a digit", { name: "1st" }, ["11: rule 1st: a name matches ^[a-z][a-z0-9-]{0,31}$"]],
    ["with a name with a colon", { name: '"a:b"' }, ["11: rule a:b: a name matches ^[a-z][a-z0-9-]{0,31}$"]],
    [
      "with a name of 33 characters",
      { name: "a".repeat(33) },
      [`11: rule ${"a".repeat(33)}: a name matches ^[a-z][a-z0-9-]{0,31}$`],
    ],
    ["with the name of another", rule() + rule(), ["15: a second rule a"]],
    ["without who", "  - name: a\n    roles: [sign]\n    tenants: a\n", ["11: rule a: needs who"]],
    ["without roles", "  - name: a\n    who: { token: prometheus }\n    tenants: a\n", ["11: rule a: needs roles"]],
    ["with no roles", { roles: "[]" }, ["11: rule a: roles names none"]],
    ["with a role that is not one", { roles: "[admin]" }, [`13: rule a: no role admin; there are ${roleList}`]],
    [
      "with a role in capitals",
      { roles: "Decrypt" },
      [`13: rule a: no role Decrypt; there are ${roleList}; did you mean decrypt?`],
    ],
    ["with every role", { roles: '"*"' }, [`13: rule a: no role *; there are ${roleList}`]],
    ["with a role of objects", { roles: "[constructor]" }, [`13: rule a: no role constructor; there are ${roleList}`]],
    [
      "with an rpc as a role",
      { roles: "[EncryptPii]" },
      ["13: rule a: EncryptPii is an rpc, which the role encrypt allows"],
    ],
    ["with a list in the roles", { roles: "[[sign]]" }, ["13: rule a: roles must be text"]],
    ["with an empty role", { roles: '[""]' }, ["13: rule a: roles must be text"]],
    [
      "without tenants",
      "  - name: a\n    who: { token: prometheus }\n    roles: [sign]\n",
      ['11: rule a: needs tenants: a list, "*", "{tenant}" or { claim: name }'],
    ],
    ["with no tenants", { tenants: "[]" }, ["14: rule a: tenants: names none"]],
    ["with a tenant in capitals", { tenants: "[Acme]" }, [`14: rule a: tenants: Acme ${noTenantId}`]],
    ["with a tenant with a slash", { tenants: "[a/b]" }, [`14: rule a: tenants: a/b ${noTenantId}`]],
    [
      "with a tenant of 64 characters",
      { tenants: `[${"a".repeat(64)}]` },
      [`14: rule a: tenants: ${"a".repeat(64)} ${noTenantId}`],
    ],
    ["with a prefix within a word", { tenants: '["acme*"]' }, [`14: rule a: tenants: acme* ${noTenantId}`]],
    ["with a suffix", { tenants: '["*-acme"]' }, [`14: rule a: tenants: *-acme ${noTenantId}`]],
    ["with a star in the middle", { tenants: '["acme-*-eu"]' }, [`14: rule a: tenants: acme-*-eu ${noTenantId}`]],
    ["with a prefix in capitals", { tenants: '["Acme-*"]' }, [`14: rule a: tenants: Acme-* ${noTenantId}`]],
    [
      "with a prefix that no tenant's id is longer than",
      { tenants: `["${"a".repeat(63)}-*"]` },
      [`14: rule a: tenants: ${"a".repeat(63)}-… ${noTenantId}`],
    ],
    ["with two stars", { tenants: '["**"]' }, [`14: rule a: tenants: ** ${noTenantId}`]],
    ["with a capture with text", { tenants: '["{tenant}-x"]' }, [`14: rule a: tenants: {tenant}-x ${noTenantId}`]],
    [
      "with a tenant that nothing captures",
      { tenants: captured },
      ["14: rule a: tenants: {tenant} stands in no part of who"],
    ],
    [
      "with a subject that captures nothing",
      { who: jwt("subject: u1"), tenants: captured },
      ["14: rule a: tenants: {tenant} stands in no part of who"],
    ],
    [
      "with claims and no subject that could capture",
      { who: jwt("claims: { r: x }"), tenants: captured },
      ["14: rule a: tenants: {tenant} stands in no part of who"],
    ],
    [
      "with a capture that its tenants do not name",
      { who: jwt('subject: "{tenant}"'), tenants: '"*"' },
      ['11: rule a: {tenant} in who is of no use, as tenants does not name it: write * there, or tenants: "{tenant}"'],
    ],
    [
      "with bounds of a capture that is not there",
      { tenants: "{ captured: [acme] }" },
      ["14: rule a: tenants: {tenant} stands in no part of who"],
    ],
    [
      "with a claim of a token that has none",
      { tenants: "{ claim: t, within: [acme] }" },
      ["14: rule a: tenants: a claim is of a token: who must be jwt"],
    ],
    [
      "with tenants of no kind",
      { who: jwt("subject: u"), tenants: "{ within: [acme] }" },
      ["14: rule a: tenants needs claim"],
    ],
    [
      "with tenants of an unknown kind",
      { who: jwt("subject: u"), tenants: "{ claims: t, claim: t, within: [a] }" },
      ["14: rule a: tenants has no claims; known: captured, claim, within; did you mean claim?"],
    ],
    [
      "with a claim and a capture",
      { who: jwt('subject: "{tenant}"'), tenants: "{ captured: [a], claim: t }" },
      ["14: rule a: tenants: captured stands alone"],
    ],
    [
      "with a capture within",
      { who: jwt('subject: "{tenant}"'), tenants: "{ captured: [a], within: [a] }" },
      ["14: rule a: tenants: captured stands alone"],
    ],
    [
      "with a claim within everything",
      { who: jwt("subject: u"), tenants: '{ claim: t, within: "*" }' },
      ["14: rule a: tenants: within must be a list of tenants and prefixes"],
    ],
    [
      "with a capture of everything",
      { who: jwt('subject: "{tenant}"'), tenants: '{ captured: [acme, "{tenant}"] }' },
      ["14: rule a: tenants: captured must be a list of tenants and prefixes"],
    ],
    [
      "with bounds that are empty",
      { who: jwt("subject: u"), tenants: "{ claim: t, within: [] }" },
      ["14: rule a: tenants: within must be a list of tenants and prefixes"],
    ],
    [
      "with bounds that are no tenants",
      { who: jwt("subject: u"), tenants: "{ claim: t, within: [Acme] }" },
      [`14: rule a: tenants: Acme ${noTenantId}`],
    ],
    [
      "with tenants by a claim that users choose",
      { who: jwt("subject: u"), tenants: "{ claim: email, within: [a] }" },
      [
        "14: rule a: tenants: email can be changed by the user it is about, or given to another later: use the subject, an id, or a role",
      ],
    ],
    [
      "with a limit with a unit",
      { more: "    limit: 10/s\n" },
      ["15: rule a: limit is a whole number of calls a second, from 1 to 9999999"],
    ],
    [
      "with a limit of 0",
      { more: "    limit: 0\n" },
      ["15: rule a: limit is a whole number of calls a second, from 1 to 9999999"],
    ],
    [
      "with a limit of 8 digits",
      { more: "    limit: 10000000\n" },
      ["15: rule a: limit is a whole number of calls a second, from 1 to 9999999"],
    ],
    ["with a limit in a list", { more: "    limit: [1]\n" }, ["15: rule a: limit must be text"]],
    ...(["decrypt", "decrypt-data-key", "break-glass"] as const).map((role): [string, { roles: string }, string[]] => [
      `with ${role} and destroy`,
      { roles: `[${role}, destroy]` },
      ["11: rule a: who may decrypt may not destroy (separation: off would allow it)"],
    ]),
    [
      "with sign and mark-compromised",
      { roles: "[mark-compromised, sign]" },
      ["11: rule a: who may sign may not mark a key as compromised (separation: off would allow it)"],
    ],
  ])("%s", (_what, lines, problems) => {
    expect(problemsOf(trusted + (typeof lines === "string" ? lines : rule(lines)))).toEqual(problems);
  });

  it.each<[what: string, who: string, problems: string[]]>([
    ["that is a text", "spiffe://example.org/x", ["12: rule a: who must be a mapping, as in { spiffe: … }"]],
    ["of no kind", "{ }", ["12: rule a: who: is exactly one of spiffe, dns, jwt and token"]],
    [
      "of two kinds",
      '{ token: prometheus, spiffe: "spiffe://example.org/x" }',
      ["12: rule a: who: is exactly one of spiffe, dns, jwt and token"],
    ],
    [
      "of an unknown kind",
      "{ user: ann }",
      [
        "12: rule a: who has no user; known: spiffe, dns, jwt, token",
        "12: rule a: who: is exactly one of spiffe, dns, jwt and token",
      ],
    ],
    [
      "of a token that is not there",
      "{ token: grafana }",
      ["12: rule a: who: no entry of tokens is called grafana; there are prometheus"],
    ],
    [
      "of a token with a slip",
      "{ token: prometeus }",
      ["12: rule a: who: no entry of tokens is called prometeus; there are prometheus; did you mean prometheus?"],
    ],
    [
      "that is the token itself",
      `{ token: fkt_${"A".repeat(43)} }`,
      ["12: rule a: who: no entry of tokens is called fkt_…; there are prometheus"],
    ],
    ["of two tokens", "{ token: [prometheus] }", ["12: rule a: who: token must be text"]],
    ...[
      "spiffe://example.org",
      "spiffe://example.org/",
      "spiffe://example.org/a/",
      "spiffe://example.org//a",
      "spiffe://example.org/a/../b",
      "spiffe://example.org/./a",
      "spiffe://example.org/a%2Fb",
      "spiffe://example.org/a?b",
      "SPIFFE://example.org/a",
      "https://example.org/a",
      "/a",
    ].map((id): [string, string, string[]] => [
      `that is no SPIFFE id: ${id}`,
      `{ spiffe: "${id}" }`,
      [`12: rule a: who: ${id} is no SPIFFE id such as spiffe://example.org/ns/fluo/sa/ingest`],
    ]),
    ...["other.org", "*", "svid.example.org.", "web", "user@example.org", "example.org:443", "Example.org"].map(
      (domain): [string, string, string[]] => [
        `of the trust domain ${domain}`,
        `{ spiffe: "spiffe://${domain}/a" }`,
        [`12: rule a: who: no entry of certificates or issuers has the trust domain ${domain}`],
      ],
    ),
    [
      "with a part of a star and text",
      '{ spiffe: "spiffe://example.org/a*" }',
      [
        '12: rule a: who: spiffe://example.org/a*: * stands for a whole part between "/", and {tenant} is the only name in braces',
      ],
    ],
    [
      "with two stars",
      '{ spiffe: "spiffe://example.org/ns/*/sa/*" }',
      ["12: rule a: who: spiffe://example.org/ns/*/sa/*: * may stand for one part only"],
    ],
    [
      "without a list of DNS names",
      "{ dns: a.internal.example.org }",
      ["12: rule a: who.dns must be a mapping, as in { certificates: … }"],
    ],
    [
      "of DNS names without an entry",
      "{ dns: { name: a.internal.example.org } }",
      ["12: rule a: who.dns needs certificates"],
    ],
    ["of an entry without DNS names", "{ dns: { certificates: web } }", ["12: rule a: who.dns needs name"]],
    [
      "of certificates that are not there",
      "{ dns: { certificates: webb, name: a.internal.example.org } }",
      ["12: rule a: who.dns: no entry of certificates is called webb; there are mesh, web; did you mean web?"],
    ],
    [
      "of DNS names of a trust domain",
      "{ dns: { certificates: mesh, name: a.example.org } }",
      ["12: rule a: who.dns: mesh is a trust domain: its callers are who: { spiffe: … }"],
    ],
    [
      "of a DNS name elsewhere",
      "{ dns: { certificates: web, name: a.external.example.org } }",
      ["12: rule a: who.dns: a.external.example.org ends in none of the suffixes of web: .internal.example.org"],
    ],
    [
      "of a DNS name that only ends alike",
      "{ dns: { certificates: web, name: internal.example.org } }",
      ["12: rule a: who.dns: internal.example.org ends in none of the suffixes of web: .internal.example.org"],
    ],
    ...[
      "A.internal.example.org",
      ".internal.example.org",
      "a..internal.example.org",
      "-a.internal.example.org",
      "a b.internal.example.org",
    ].map((name): [string, string, string[]] => [
      `of ${name}`,
      `{ dns: { certificates: web, name: "${name}" } }`,
      [`12: rule a: who.dns: ${name} is no DNS name in lower case`],
    ]),
    [
      "of a token by its issuer's name alone",
      "{ jwt: sso }",
      ["12: rule a: who.jwt must be a mapping, as in { issuer: … }"],
    ],
    [
      "of an issuer",
      "{ jwt: { issuer: sso } }",
      ["12: rule a: who.jwt: needs subject or claims: an issuer alone would let all of its users in"],
    ],
    [
      "of every subject",
      jwt('subject: "*"'),
      ["12: rule a: who.jwt: subject: *, and an issuer alone would let all of its users in"],
    ],
    ["of no issuer", "{ jwt: { subject: a } }", ["12: rule a: who.jwt needs issuer"]],
    [
      "of an issuer that is not there",
      "{ jwt: { issuer: https://sso.example.org, subject: a } }",
      ["12: rule a: who.jwt: no entry of issuers is called https://sso.example.org; there are sso, spire"],
    ],
    [
      "of tokens of a trust domain",
      "{ jwt: { issuer: spire, subject: a } }",
      ["12: rule a: who.jwt: spire is a trust domain: its callers are who: { spiffe: … }"],
    ],
    [
      "of a SPIFFE id as a subject",
      jwt('subject: "spiffe://svid.example.org/a"'),
      ["12: rule a: who.jwt: a SPIFFE id is who: { spiffe: … }"],
    ],
    ["of two subjects", jwt("subject: [a, b]"), ["12: rule a: who.jwt: subject must be text"]],
    [
      "of a subject with a star in a part",
      jwt('subject: "system:serviceaccount:fluo:a*"'),
      [
        '12: rule a: who.jwt: system:serviceaccount:fluo:a*: * stands for a whole part between ":", and {tenant} is the only name in braces',
      ],
    ],
    [
      "of claims in a list",
      jwt("claims: [a]"),
      ["12: rule a: who.jwt.claims must be a mapping from names of claims to texts"],
    ],
    ["of no claims", jwt("claims: {}"), ["12: rule a: who.jwt.claims must be a mapping from names of claims to texts"]],
    ...["{ r: [a, b] }", '{ r: "" }', "{ r: { s: a } }"].map((claims): [string, string, string[]] => [
      `of claims ${claims}`,
      jwt(`claims: ${claims}`),
      ["12: rule a: who.jwt.claims: r must be one text; where any of several will do, write a rule for each"],
    ]),
    ...[
      ...["email", "preferred_username", "upn", "unique_name", "name", "nickname", "user_metadata"],
      ...["/email", "/user_metadata/tenant", "/name"],
    ].map((name): [string, string, string[]] => [
      `of the claim ${name}`,
      jwt(`claims: { ${name}: a }`),
      [
        `12: rule a: who.jwt.claims: ${name} can be changed by the user it is about, or given to another later: use the subject, an id, or a role`,
      ],
    ]),
    [
      "of a pointer with a bad escape",
      jwt("claims: { /a~2b: c }"),
      ["12: rule a: who.jwt.claims: /a~2b is no JSON Pointer: ~ is written ~0"],
    ],
  ])("with who %s", (_what, who, problems) => {
    expect(problemsOf(trusted + rule({ who }))).toEqual(problems);
  });

  it("with a name of no entry, with ten of those that there are", () => {
    const tokens = Array.from(
      { length: 11 },
      (_, at) => `  - { name: t${at}, sha256: ${String(at).padStart(64, "0")}, expires: 2027-01-01 }\n`,
    );
    const text = `version: 1\ntokens:\n${tokens.join("")}rules:\n${rule({ who: "{ token: grafana }" })}`;
    expect(problemsOf(text)).toEqual([
      "16: rule a: who: no entry of tokens is called grafana; there are t0, t1, t2, t3, t4, t5, t6, t7, t8, t9",
    ]);
  });

  it("with two captures", () => {
    const who = '{ spiffe: "spiffe://example.org/{tenant}/{tenant}" }';
    expect(problemsOf(trusted + rule({ who, tenants: captured }))).toEqual([
      "12: rule a: who: spiffe://example.org/{tenant}/{tenant}: {tenant} may stand in one part only",
    ]);
  });
});

describe("a rule", () => {
  it("may have all of what goes together", () => {
    const { who, roles, tenants, limit } = only({
      who: `{ jwt: { issuer: sso, subject: "repo:{tenant}:*", claims: { /a/b~1c: x, "https://fluo.dev/t": 1e3, scope: read } } }`,
      roles: "[sign, sign, metrics]",
      tenants: '["{tenant}", shared, acme-*, a.b_c-d]',
      more: "    limit: 250\n",
    });
    expect(who).toMatchObject({ kind: "jwt", issuer: "sso", name: { text: "repo:{tenant}:*", captures: true } });
    expect(who).toHaveProperty("claims", [
      ["/a/b~1c", "x"],
      ["https://fluo.dev/t", "1e3"],
      ["scope", "read"],
    ]);
    expect([...roles]).toEqual(["sign", "metrics"]);
    expect(tenants).toMatchObject({ all: false, captured: true, named: { prefixes: ["acme-"] } });
    expect([...tenants.named.ids]).toEqual(["shared", "a.b_c-d"]);
    expect(limit).toBe(250);
  });

  it("has no limit of its own by default, and no tenants but those that it names", () => {
    expect(only({})).toMatchObject({
      limit: undefined,
      tenants: { all: false, captured: false, claim: undefined, within: undefined },
    });
    expect([...only({ tenants: "acme" }).tenants.named.ids]).toEqual(["acme"]);
    expect([...only({ roles: "sign" }).roles]).toEqual(["sign"]);
  });

  it.each([
    '{ dns: { certificates: web, name: "*.internal.example.org" } }',
    "{ dns: { certificates: web, name: a_b.c-9.9.internal.example.org } }",
    '{ spiffe: "spiffe://example.org/ns/*/sa/ingest" }',
    "{ spiffe: spiffe://svid.example.org/a.b_c-d9 }",
    jwt("subject: auth0|abc@clients"),
    jwt("claims: { user_metadata_x: a, emails: b, /app_metadata/email: c }"),
  ])("may have who: %s", (who) => {
    expect(problemsOf(trusted + rule({ who }))).toEqual([]);
  });

  it("may have a captured tenant, bounded or not, and a part that any tenant's id is in", () => {
    const who = '{ dns: { certificates: web, name: "kms-{tenant}.internal.example.org" } }';
    expect(only({ who, tenants: captured }).tenants).toMatchObject({ captured: true, within: undefined });
    const bounded = only({ who, tenants: "{ captured: [acme, globex-*] }" }).tenants;
    expect(bounded).toMatchObject({ captured: true, within: { prefixes: ["globex-"] } });
    expect([...bounded.within!.ids]).toEqual(["acme"]);
    expect(only({ who: jwt("subject: u"), tenants: "{ claim: /a/t, within: acme }" }).tenants).toMatchObject({
      captured: false,
      claim: "/a/t",
      within: { prefixes: [] },
    });
  });

  it("may have roles that are kept apart where the policy says so", () => {
    const roles = "[decrypt, destroy, sign, mark-compromised]";
    const { policy, problems } = readPolicy(trusted.replace("rules:", "separation: off\nrules:") + rule({ roles }));
    expect(problems).toEqual([]);
    expect(policy?.separation).toBe(false);
  });

  it("may have roles that are near to those which are kept apart", () => {
    const roles = "[destroy, encrypt, re-encrypt, generate-data-key, sign, key-admin]";
    expect(problemsOf(trusted + rule({ roles }))).toEqual([]);
    expect(problemsOf(trusted + rule({ roles: "[decrypt, decrypt-data-key, break-glass, mark-compromised]" }))).toEqual(
      [],
    );
  });
});
