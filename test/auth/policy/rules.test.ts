/** Rules: whom they match, which roles they give for which tenants; each refusal with its line and words. */
import { describe, expect, it } from "vitest";
import { type Policy, readPolicy } from "../../../src/auth/policy/policy.ts";
import { policyOf, problemsOf, rule, trusted } from "../../support/policy-fixture.ts";

type Lines = Exclude<Parameters<typeof rule>[0], undefined>;
const only = (lines: Lines): Policy["rules"][number] => policyOf(trusted + rule(lines)).rules[0]!;
const refused = (lines: Lines | string) => problemsOf(trusted + (typeof lines === "string" ? lines : rule(lines)));

const roleList =
  "sign, verify, encrypt, re-encrypt, decrypt, generate-data-key, decrypt-data-key, status, metrics, operate, audit, key-admin, mark-compromised, destroy, break-glass";
const jwt = (inner: string) => `{ jwt: { issuer: sso, ${inner} } }`;
const dns = (name: string, certificates = "web") => `{ dns: { certificates: ${certificates}, name: "${name}" } }`;
const captured = '"{tenant}"';
const user = jwt("subject: u");
const anySubject = jwt(`subject: ${captured}`);
const without = (key: string) => rule().replace(new RegExp(`${key}: .*\n(    )?`), "");
const chosen = "can be changed by the user it is about, or given to another later: use the subject, an id, or a role";

describe("a rule is refused", () => {
  const limit = "15: rule a: limit is a whole number of calls a second, from 1 to 9999999";
  const notApart = (some: string, refused: string) =>
    `11: rule a: who may ${some} may not ${refused} (separation: off would allow it)`;

  it.each<[Lines | string, problem: string]>([
    ["  - sign\n", "11: a rule must be a mapping, as in { name: … }"],
    [
      { more: "    tenant: acme\n" },
      "15: a rule has no tenant; known: name, who, roles, tenants, limit, token; did you mean tenants?",
    ],
    [without("name"), "11: a rule needs name"],
    [rule() + rule(), "15: a second rule a"],
    [without("who"), "11: rule a: needs who"],
    [without("roles"), "11: rule a: needs roles"],
    [without("tenants"), '11: rule a: needs tenants: a list, "*", "{tenant}" or { claim: name }'],
    [{ roles: "[]" }, "11: rule a: roles names none"],
    [
      { who: anySubject, tenants: '"*"' },
      '11: rule a: {tenant} in who is of no use, as tenants does not name it: write * there, or tenants: "{tenant}"',
    ],
    [{ more: "    limit: 10/s\n" }, limit],
    [{ more: "    limit: 0\n" }, limit],
    [{ more: "    limit: 10000000\n" }, limit],
    [{ more: "    limit: [1]\n" }, "15: rule a: limit must be text"],
    [{ roles: "[decrypt, destroy]" }, notApart("decrypt", "destroy")],
    [{ roles: "[decrypt-data-key, destroy]" }, notApart("decrypt", "destroy")],
    [{ roles: "[break-glass, destroy]" }, notApart("decrypt", "destroy")],
    [{ roles: "[mark-compromised, sign]" }, notApart("sign", "mark a key as compromised")],
  ])("%j", (lines, problem) => {
    expect(refused(lines)).toEqual([problem]);
  });

  it.each(["Ingest", "1st", "a:b", "a".repeat(33)])("with the name %s", (name) => {
    expect(refused({ name: `"${name}"` })).toEqual([`11: rule ${name}: a name matches ^[a-z][a-z0-9-]{0,31}$`]);
  });

  it.each([
    ["[admin]", `no role admin; there are ${roleList}`],
    ["Decrypt", `no role Decrypt; there are ${roleList}; did you mean decrypt?`],
    ['"*"', `no role *; there are ${roleList}`],
    ["[constructor]", `no role constructor; there are ${roleList}`],
    ["[EncryptPii]", "EncryptPii is an rpc, which the role encrypt allows"],
    ["[[sign]]", "roles must be text"],
    ['[""]', "roles must be text"],
  ])("with the roles %s", (roles, problem) => {
    expect(refused({ roles })).toEqual([`13: rule a: ${problem}`]);
  });

  const noTenantId = "is no tenant id (a-z 0-9 . _ -), and no prefix such as acme-*, whose star follows . _ or -";
  const [noCapture, alone] = [": {tenant} stands in no part of who", ": captured stands alone"];
  const list = "must be a list of tenants and prefixes";
  const noId = (text: string): [string, string] => [`["${text}"]`, `: ${text} ${noTenantId}`];

  it.each<[tenants: string, problem: string, who?: string]>([
    ["[]", ": names none"],
    ...["Acme", "a/b", "a".repeat(64), "acme*", "*-acme", "acme-*-eu", "Acme-*", "**", "{tenant}-x"].map(noId),
    [`["${"a".repeat(63)}-*"]`, `: ${"a".repeat(63)}-… ${noTenantId}`],
    [captured, noCapture],
    [captured, noCapture, user],
    [captured, noCapture, jwt("claims: { r: x }")],
    ["{ captured: [acme] }", noCapture],
    ["{ claim: t, within: [acme] }", ": a claim is of a token: who must be jwt"],
    ["{ within: [acme] }", " needs claim", user],
    [
      "{ claims: t, claim: t, within: [a] }",
      " has no claims; known: captured, claim, within; did you mean claim?",
      user,
    ],
    ["{ captured: [a], claim: t }", alone, anySubject],
    ["{ captured: [a], within: [a] }", alone, anySubject],
    ['{ claim: t, within: "*" }', `: within ${list}`, user],
    ['{ captured: [acme, "{tenant}"] }', `: captured ${list}`, anySubject],
    ["{ claim: t, within: [] }", `: within ${list}`, user],
    ["{ claim: t, within: [Acme] }", `: Acme ${noTenantId}`, user],
    ["{ claim: email, within: [a] }", `: email ${chosen}`, user],
  ])("with the tenants %s%s", (tenants, problem, who = "{ token: prometheus }") => {
    expect(refused({ tenants, who })).toEqual([`14: rule a: tenants${problem}`]);
  });

  const one = ": is exactly one of spiffe, dns, jwt and token";
  const noToken = ": no entry of tokens is called";
  const whole = (separator: string) =>
    `: * stands for a whole part between "${separator}", and {tenant} is the only name in braces`;
  const paths = ["", "/", "/a/", "//a", "/a/../b", "/./a", "/a%2Fb", "/a?b"];
  const users = ["email", "preferred_username", "upn", "unique_name", "name", "nickname", "user_metadata"];
  const noSpiffeId = " is no SPIFFE id such as spiffe://example.org/ns/fluo/sa/ingest";
  const outside = " ends in none of the suffixes of web: .internal.example.org";
  const mapping = ".jwt.claims must be a mapping from names of claims to texts";
  const oneText = ".jwt.claims: r must be one text; where any of several will do, write a rule for each";
  const letIn = "an issuer alone would let all of its users in";
  const bySpiffe = "is a trust domain: its callers are who: { spiffe: … }";

  it.each<[who: string, ...problems: string[]]>([
    ["spiffe://example.org/x", " must be a mapping, as in { spiffe: … }"],
    ["{ }", one],
    ['{ token: prometheus, spiffe: "spiffe://example.org/x" }', one],
    ["{ user: ann }", " has no user; known: spiffe, dns, jwt, token", one],
    ["{ token: grafana }", `${noToken} grafana; there are prometheus`],
    ["{ token: prometeus }", `${noToken} prometeus; there are prometheus; did you mean prometheus?`],
    [`{ token: fkt_${"A".repeat(43)} }`, `${noToken} fkt_…; there are prometheus`],
    ["{ token: [prometheus] }", ": token must be text"],
    ...[...paths.map((path) => `spiffe://example.org${path}`), "SPIFFE://example.org/a", "https://a.org/a", "/a"].map(
      (id): [string, string] => [`{ spiffe: "${id}" }`, `: ${id}${noSpiffeId}`],
    ),
    ...["other.org", "*", "svid.example.org.", "web", "user@example.org", "example.org:443", "Example.org"].map(
      (domain): [string, string] => [
        `{ spiffe: "spiffe://${domain}/a" }`,
        `: no entry of certificates or issuers has the trust domain ${domain}`,
      ],
    ),
    ['{ spiffe: "spiffe://example.org/a*" }', `: spiffe://example.org/a*${whole("/")}`],
    ["{ dns: a.internal.example.org }", ".dns must be a mapping, as in { certificates: … }"],
    ["{ dns: { name: a.internal.example.org } }", ".dns needs certificates"],
    ["{ dns: { certificates: web } }", ".dns needs name"],
    [
      dns("a.internal.example.org", "webb"),
      ".dns: no entry of certificates is called webb; there are mesh, web; did you mean web?",
    ],
    [dns("a.example.org", "mesh"), `.dns: mesh ${bySpiffe}`],
    [dns("a.external.example.org"), `.dns: a.external.example.org${outside}`],
    [dns("internal.example.org"), `.dns: internal.example.org${outside}`],
    ...["A.", ".", "a..", "-a.", "a b."].map((first): [string, string] => [
      dns(`${first}internal.example.org`),
      `.dns: ${first}internal.example.org is no DNS name in lower case`,
    ]),
    ["{ jwt: sso }", ".jwt must be a mapping, as in { issuer: … }"],
    ["{ jwt: { issuer: sso } }", `.jwt: needs subject or claims: ${letIn}`],
    [jwt('subject: "*"'), `.jwt: subject: *, and ${letIn}`],
    ["{ jwt: { subject: a } }", ".jwt needs issuer"],
    [
      "{ jwt: { issuer: https://sso.example.org, subject: a } }",
      ".jwt: no entry of issuers is called https://sso.example.org; there are sso, spire",
    ],
    ["{ jwt: { issuer: spire, subject: a } }", `.jwt: spire ${bySpiffe}`],
    [jwt('subject: "spiffe://svid.example.org/a"'), ".jwt: a SPIFFE id is who: { spiffe: … }"],
    [jwt("subject: [a, b]"), ".jwt: subject must be text"],
    [jwt('subject: "u:a*"'), `.jwt: u:a*${whole(":")}`],
    [jwt("claims: [a]"), mapping],
    [jwt("claims: {}"), mapping],
    ...["{ r: [a, b] }", '{ r: "" }', "{ r: { s: a } }"].map((claims): [string, string] => [
      jwt(`claims: ${claims}`),
      oneText,
    ]),
    ...[...users, "/email", "/user_metadata/tenant", "/name"].map((name): [string, string] => [
      jwt(`claims: { ${name}: a }`),
      `.jwt.claims: ${name} ${chosen}`,
    ]),
    [jwt("claims: { /a~2b: c }"), ".jwt.claims: /a~2b is no JSON Pointer: ~ is written ~0"],
  ])("with who %s", (who, ...problems) => {
    expect(refused({ who })).toEqual(problems.map((problem) => `12: rule a: who${problem}`));
  });

  it("with a name of no entry, with ten of those that there are", () => {
    const token = (_: unknown, at: number) =>
      `  - { name: t${at}, sha256: ${String(at).padStart(64, "0")}, expires: 2027-01-01 }\n`;
    const tokens = Array.from({ length: 11 }, token).join("");
    expect(problemsOf(`version: 1\ntokens:\n${tokens}rules:\n${rule({ who: "{ token: grafana }" })}`)).toEqual([
      "16: rule a: who: no entry of tokens is called grafana; there are t0, t1, t2, t3, t4, t5, t6, t7, t8, t9",
    ]);
  });
});

describe("a rule", () => {
  it("may have all of what goes together", () => {
    const { who, roles, tenants, limit } = only({
      who: jwt(`subject: "repo:{tenant}:*", claims: { /a/b~1c: x, "https://fluo.dev/t": 1e3, scope: read }`),
      roles: "[sign, sign, metrics]",
      tenants: '["{tenant}", shared, acme-*, a.b_c-d]',
      more: "    limit: 250\n",
    });
    const claims = Object.entries({ "/a/b~1c": "x", "https://fluo.dev/t": "1e3", scope: "read" });
    const name = { text: "repo:{tenant}:*", captures: true };
    expect(who).toMatchObject({ kind: "jwt", issuer: "sso", name, claims });
    expect([...roles]).toEqual(["sign", "metrics"]);
    expect(tenants).toMatchObject({ all: false, captured: true, named: { prefixes: ["acme-"] } });
    expect([...tenants.named.ids]).toEqual(["shared", "a.b_c-d"]);
    expect(limit).toBe(250);
  });

  it("has no limit of its own by default, and no tenants but those that it names", () => {
    const tenants = { all: false, captured: false, claim: undefined, within: undefined };
    expect(only({})).toMatchObject({ limit: undefined, tenants });
    expect([...only({ tenants: "acme" }).tenants.named.ids]).toEqual(["acme"]);
    expect([...only({ roles: "sign" }).roles]).toEqual(["sign"]);
  });

  it.each([
    dns("*.internal.example.org"),
    dns("a_b.c-9.9.internal.example.org"),
    '{ spiffe: "spiffe://example.org/ns/*/sa/ingest" }',
    "{ spiffe: spiffe://svid.example.org/a.b_c-d9 }",
    jwt("subject: auth0|abc@clients"),
    jwt("claims: { user_metadata_x: a, emails: b, /app_metadata/email: c }"),
  ])("may have who: %s", (who) => {
    expect(refused({ who })).toEqual([]);
  });

  it("may have a captured tenant, bounded or not, and a part that any tenant's id is in", () => {
    const who = dns("kms-{tenant}.internal.example.org");
    expect(only({ who, tenants: captured }).tenants).toMatchObject({ captured: true, within: undefined });
    const bounded = only({ who, tenants: "{ captured: [acme, globex-*] }" }).tenants;
    expect(bounded).toMatchObject({ captured: true, within: { prefixes: ["globex-"] } });
    expect([...bounded.within!.ids]).toEqual(["acme"]);
    const claimed = { captured: false, claim: "/a/t", within: { prefixes: [] } };
    expect(only({ who: user, tenants: "{ claim: /a/t, within: acme }" }).tenants).toMatchObject(claimed);
  });

  it("may have roles that are kept apart where the policy says so, and that are near to those", () => {
    const roles = "[decrypt, destroy, sign, mark-compromised]";
    const { policy, problems } = readPolicy(trusted.replace("rules:", "separation: off\nrules:") + rule({ roles }));
    expect(problems).toEqual([]);
    expect(policy?.separation).toBe(false);
    expect(refused({ roles: "[destroy, encrypt, re-encrypt, generate-data-key, sign, key-admin]" })).toEqual([]);
    expect(refused({ roles: "[decrypt, decrypt-data-key, break-glass, mark-compromised]" })).toEqual([]);
  });
});
