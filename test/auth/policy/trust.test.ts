/** Whom a policy believes: certificates, issuers and static tokens; each refusal with its line and words, each default and each warning. */
import { describe, expect, it } from "vitest";
import { readPolicy } from "../../../src/auth/policy/policy.ts";
import type { Trust } from "../../../src/auth/policy/trust.ts";
import { policyOf, problemsOf, sha256, warningsOf } from "../../support/policy-fixture.ts";

/** Lines 1 and 2, then entries from line 3, then no rules. */
const withEntries = (key: keyof Trust, ...entries: string[]) =>
  `version: 1\n${key}:\n${entries.map((entry) => `  - ${entry}\n`).join("")}rules: []\n`;
const only = <Key extends keyof Trust>(key: Key, entry: string) =>
  policyOf(withEntries(key, entry))[key][0] as Trust[Key][number];
const refused = (key: keyof Trust, ...entries: string[]) => problemsOf(withEntries(key, ...entries));
const warned = (key: keyof Trust, entry: string) => warningsOf(withEntries(key, entry));

const noName = "a name matches ^[a-z][a-z0-9-]{0,31}$";
const noDomain = "a trust domain is a name such as example.org, in lower case";
const suffix = "needs either trust-domain or dns, a list of suffixes";
const issuer = "name: a, issuer: https://a, audience: b";
const domain = "name: a, trust-domain: b, audience: c";
const token = `name: p, sha256: ${sha256}, expires: 2027-06-30`;
const address = "must be an address such as https://sso.example.org/realms/fluo";
const duration = "must be a duration from";
const asDuration = "a whole number with s, m, h or d, as";
const noHash = "sha256 must be 64 lower-case hexadecimal digits, as fluo-kms token new prints them";
const noDate = "expires must be a date such as 2027-06-30, or with a time as 2027-06-30T12:00:00Z";

/** Members of an entry, and what is said of it after its kind and name. */
const refusals: Record<keyof Trust, [entry: string, problem: string][]> = {
  certificates: [
    ["mesh", "an entry of certificates must be a mapping, as in { name: … }"],
    ["{ dns: .a, ca: /c }", "an entry of certificates needs name"],
    ["{ name: Mesh, dns: .a, ca: /c }", `certificates Mesh: ${noName}`],
    ["{ name: a, dns: .a }", "certificates a needs ca"],
    ["{ name: a, dns: .a, ca: [/b, /c] }", "certificates a: ca must be text"],
    ["{ name: a, ca: /c }", `certificates a: ${suffix}`],
    ["{ name: a, ca: /c, dns: .a, trust-domain: b }", `certificates a: ${suffix}`],
    ["{ name: a, ca: /c, dns: [] }", `certificates a: ${suffix}`],
    ...["*.example.org", "example.org", ".Example.org", ".", ".a.", ".a..b", ".-a", `.${"a".repeat(64)}`].map(
      (text): [string, string] => [
        `{ name: a, ca: /c, dns: ["${text}"] }`,
        `certificates a: ${text.length > 64 ? `${text.slice(0, 64)}…` : text} is no suffix such as .svc.cluster.local, in lower case`,
      ],
    ),
    ...["spiffe://example.org", "Example.org", "a b", "a/b", "a:443", "a".repeat(256)].map((text): [string, string] => [
      `{ name: a, ca: /c, trust-domain: "${text}" }`,
      `certificates a: ${noDomain}`,
    ]),
    ["{ name: a, ca: /c, trust-domain: b, crl: /d }", "certificates a: a trust domain has no crl: SPIRE makes none"],
    [
      "{ name: a, ca: /c, dns: .a, crls: /d }",
      "an entry of certificates has no crls; known: name, ca, trust-domain, dns, crl; did you mean crl?",
    ],
  ],
  issuers: [
    ["https://a", "an entry of issuers must be a mapping, as in { name: … }"],
    ["{ issuer: https://a, audience: b }", "an entry of issuers needs name"],
    ["{ name: a, audience: b }", "issuer a: needs either issuer or trust-domain"],
    [`{ ${issuer}, trust-domain: c, bundle-file: /b }`, "issuer a: needs either issuer or trust-domain"],
    ...["sso.example.org", "ftp://a", "https:a", "https://", "https://u:p@a", "https://a#b", '" https://a"'].map(
      (text): [string, string] => [`{ name: a, issuer: ${text}, audience: b }`, `issuer a: issuer ${address}`],
    ),
    ["{ name: a, issuer: https:\\\\a, audience: b }", `issuer a: issuer ${address}`],
    [`{ ${issuer}, jwks: /keys }`, `issuer a: jwks ${address}`],
    ["{ name: a, issuer: https://a }", "issuer a needs audience: what its tokens name this service"],
    ["{ name: a, issuer: https://a, audience: [] }", "issuer a: audience names none"],
    ['{ name: a, issuer: https://a, audience: "" }', "issuer a: audience must be text"],
    [
      "{ name: a, issuer: https://a, audience: [b, account] }",
      "issuer a: every token of Keycloak has the audience account; add a mapper for one of your own",
    ],
    ...["HS256", "none", "RS384", "rs256", "*"].map((text): [string, string] => [
      `{ ${issuer}, algorithms: [RS256, "${text}"] }`,
      `issuer a: ${text} is none of the algorithms RS256, PS256, ES256, ES384, EdDSA, ES512`,
    ]),
    [`{ ${issuer}, algorithms: [] }`, "issuer a: algorithms names none"],
    [`{ ${issuer}, jwks: https://k, jwks-file: /k }`, "issuer a: needs jwks or jwks-file, not both"],
    ...["bundle", "bundle-file"].map((key): [string, string] => [
      `{ ${issuer}, ${key}: https://k }`,
      `issuer a: ${key} belongs to a trust-domain; here it is jwks or jwks-file`,
    ]),
    [
      `{ ${domain}, jwks-file: /k, bundle-file: /b }`,
      "issuer a: jwks-file belongs to an issuer; here it is bundle or bundle-file",
    ],
    [`{ ${domain} }`, "issuer a: needs bundle or bundle-file"],
    ["{ name: a, trust-domain: https://b, audience: c, bundle-file: /b }", `issuer a: ${noDomain}`],
    ...["1 hour", "0s", "3651d", "1.5h", "-1h", "24", "99999999999h", "1w"].map((text): [string, string] => [
      `{ ${issuer}, max-lifetime: ${text} }`,
      `issuer a: max-lifetime ${duration} 1s to 3650d: ${asDuration} 24h`,
    ]),
    ...["61s", "2m", "-1s"].map((text): [string, string] => [
      `{ ${issuer}, clock-tolerance: ${text} }`,
      `issuer a: clock-tolerance ${duration} 0s to 60s: ${asDuration} 30s`,
    ]),
    [
      `{ ${issuer}, audiences: c }`,
      "an entry of issuers has no audiences; known: name, issuer, trust-domain, audience, algorithms, jwks, jwks-file, bundle, bundle-file, ca, token-file, max-lifetime, clock-tolerance; did you mean audience?",
    ],
  ],
  tokens: [
    [sha256, "an entry of tokens must be a mapping, as in { name: … }"],
    [`{ sha256: ${sha256}, expires: 2027-06-30 }`, "an entry of tokens needs name"],
    ["{ name: p, expires: 2027-06-30 }", "token p needs sha256"],
    [
      `{ name: p, sha256: fkt_${"A".repeat(43)}, expires: 2027-06-30 }`,
      "token p: sha256 is the token itself, which is no secret any more: make another by fluo-kms token new",
    ],
    ...[sha256.toUpperCase(), sha256.slice(1), `${sha256}a`, `sha256:${sha256}`, "x".repeat(64)].map(
      (text): [string, string] => [`{ name: p, sha256: "${text}", expires: 2027-06-30 }`, `token p: ${noHash}`],
    ),
    ...[
      ...["never", "2027-02-30", "2027-13-01", "2027-00-10", "30.06.2027", "2027-6-30", "2027", "1782864000"],
      ...["2027-06-30T24:00:00Z", "2027-06-30T12:00:00", "2027-06-30T12:00Z", "2027-06-30T12:61:00Z"],
      "2027-06-30 12:00:00Z",
    ].map((text): [string, string] => [`{ name: p, sha256: ${sha256}, expires: "${text}" }`, `token p: ${noDate}`]),
    [`{ ${token}, token: x }`, "an entry of tokens has no token; known: name, sha256, expires"],
  ],
};

describe.each(Object.keys(refusals) as (keyof Trust)[])("%s", (key) => {
  it.each(refusals[key])("are refused with %s", (entry, problem) => {
    expect(refused(key, entry)).toEqual([`3: ${problem}`]);
  });

  it("are a list", () => {
    const text = `${key} must be a list: each entry begins with "- name: …"`;
    expect(problemsOf(`version: 1\nrules: []\n${key}:\n  a: b\n`)).toEqual([`4: ${text}`]);
    expect(problemsOf(`version: 1\nrules: []\n${key}: a\n`)).toEqual([`3: ${text}`]);
    expect(problemsOf(`version: 1\nrules: []\n${key}: []\n`)).toEqual([]);
  });
});

it.each<[keyof Trust, entry: string, other: string, problem?: string]>([
  ["certificates", "{ name: a, ca: /c, dns: .a }", "{ name: a, ca: /d, dns: .b }", "a second certificates a"],
  [
    "certificates",
    "{ name: a, ca: /c, trust-domain: x }",
    "{ name: b, ca: /d, trust-domain: x }",
    "b: the trust domain is that of a too",
  ],
  ["issuers", `{ ${issuer} }`, "{ name: a, issuer: https://b, audience: b }", "a second issuer a"],
  ["issuers", `{ ${issuer} }`, "{ name: b, issuer: https://a, audience: c }", "b: the issuer is that of a too"],
  ["issuers", `{ ${issuer} }`, "{ name: b, issuer: https://a/, audience: c }"],
  [
    "issuers",
    `{ ${domain}, bundle-file: /b }`,
    `{ ${domain.replace(": a", ": t")}, bundle-file: /b }`,
    "t: the trust domain is that of a too",
  ],
  ["tokens", `{ ${token} }`, `{ ${token.replace("ab", "cd")} }`, "a second token p"],
  ["tokens", `{ ${token} }`, `{ ${token.replace("name: p", "name: q")} }`, "q: the sha256 is that of p too"],
])("of %s, %s beside %s", (key, entry, other, problem) => {
  expect(refused(key, entry, other)).toEqual(problem ? [`4: ${problem}`] : []);
});

it("entries of two lists may have one name, and one trust domain", () => {
  const text = `version: 1
certificates: [{ name: a, trust-domain: b, ca: /c }]
issuers: [{ ${domain}, bundle-file: /b }]
tokens: [{ name: a, sha256: ${sha256}, expires: 2027-06-30 }]
rules: [{ name: a, who: { token: a }, roles: sign, tenants: a }]
`;
  expect(problemsOf(text)).toEqual([]);
});

describe("an entry of certificates", () => {
  const web = { name: "web", line: 3, ca: "/ca.pem", crl: undefined, trustDomain: undefined, dns: [".example.org"] };

  it.each<[entry: string, read: object]>([
    [
      "{ name: mesh, trust-domain: example.org, ca: /ca.pem }",
      { ...web, name: "mesh", trustDomain: "example.org", dns: [] },
    ],
    [
      "{ name: web, dns: [.svc.cluster.local, .a-1.example], ca: /ca.pem, crl: /crl.pem }",
      { ...web, crl: "/crl.pem", dns: [".svc.cluster.local", ".a-1.example"] },
    ],
    ["{ name: web, dns: .example.org, ca: /ca.pem }", web],
  ])("is %s", (entry, read) => {
    expect(only("certificates", entry)).toEqual(read);
  });

  it("has revocation lists if another has", () => {
    const first = "{ name: a, ca: /c, dns: .a, crl: /d }";
    expect(refused("certificates", first, "{ name: b, ca: /e, dns: .b, crl: /f }")).toEqual([]);
    const text = "certificates b: has no crl where another entry has one; TLS then wants one for every authority";
    for (const other of ["{ name: b, ca: /e, dns: .b }", "{ name: b, ca: /e, trust-domain: b }"]) {
      expect(refused("certificates", first, other)).toEqual([`4: ${text}`]);
      expect(refused("certificates", other, first)).toEqual([`3: ${text}`]);
    }
  });
});

describe("an issuer", () => {
  it("has its keys by discovery, and what is usual for the rest", () => {
    expect(only("issuers", "{ name: sso, issuer: https://sso.example.org/realms/fluo, audience: fluo-kms }")).toEqual({
      name: "sso",
      line: 3,
      issuer: "https://sso.example.org/realms/fluo",
      trustDomain: undefined,
      audiences: ["fluo-kms"],
      algorithms: ["RS256", "PS256", "ES256", "ES384", "EdDSA"],
      keys: { from: "discovery" },
      ca: undefined,
      tokenFile: undefined,
      maxLifetimeMs: 86_400_000,
      clockToleranceMs: 30_000,
    });
  });

  it.each<[entry: string, read: object]>([
    [
      "{ name: c, issuer: https://c/, audience: [a, b], algorithms: [ES512, RS256], ca: /ca.pem, token-file: /t }",
      {
        issuer: "https://c/",
        audiences: ["a", "b"],
        algorithms: ["ES512", "RS256"],
        ca: "/ca.pem",
        tokenFile: "/t",
      },
    ],
    [`{ ${issuer}, jwks: https://c:6443/keys?x=y }`, { keys: { from: "address", at: "https://c:6443/keys?x=y" } }],
    [`{ ${issuer}, jwks-file: /k }`, { keys: { from: "file", at: "/k" } }],
    [`{ ${domain}, bundle-file: /b }`, { issuer: undefined, trustDomain: "b", keys: { from: "file", at: "/b" } }],
    [`{ ${domain}, bundle: https://b }`, { keys: { from: "address", at: "https://b" } }],
    [`{ ${issuer}, max-lifetime: 1s, clock-tolerance: 0s }`, { maxLifetimeMs: 1_000, clockToleranceMs: 0 }],
    [`{ ${issuer}, max-lifetime: 90m }`, { maxLifetimeMs: 5_400_000 }],
    [`{ ${issuer}, max-lifetime: 3650d }`, { maxLifetimeMs: 315_360_000_000 }],
  ])("may be %s", (entry, read) => {
    expect(only("issuers", entry)).toMatchObject(read);
  });

  it("has at most 99 others beside it", () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, at) => `{ name: i${at}, issuer: https://i${at}, audience: b }`);
    expect(policyOf(withEntries("issuers", ...many(100))).issuers).toHaveLength(100);
    expect(refused("issuers", ...many(101))).toEqual(["3: 101 issuers, of at most 100"]);
  });

  it.each(["azp", "client_id", "cid", "appid"])(
    "is to be looked at with the audience of a client, by claim %s",
    (name) => {
      const issuers = "issuers: [{ name: a, issuer: https://a, audience: [b, c] }]";
      const rule = (text: string) =>
        `  - { name: r, who: { jwt: { issuer: a, claims: { ${name}: ${text} } } }, roles: [sign], tenants: acme }`;
      const why = "so every user who logs in there has tokens for it; give this service an audience of its own";
      expect(warningsOf(`version: 1\n${issuers}\nrules:\n${rule("c")}\n`)).toEqual([
        `4: rule r: who.jwt: audience c of a is a client's id too, ${why}`,
      ]);
      expect(warningsOf(`version: 1\n${issuers}\nrules:\n${rule("app")}\n`)).toEqual([]);
    },
  );

  const loopback = "http: is for loopback in profile dev";
  const unused = "ca and token-file are of no use with a file of keys";
  it.each<[entry: string, warning?: string]>([
    [`{ ${issuer} }`],
    [
      "{ name: a, issuer: https://accounts.google.com, audience: 1-a.apps.googleusercontent.com }",
      "the audience is a login client's id, so every user who logs in there has such tokens",
    ],
    ["{ name: a, issuer: http://localhost:8081, audience: b }", loopback],
    [`{ ${issuer}, jwks: http://localhost/keys }`, loopback],
    [`{ ${issuer}, jwks-file: /k, ca: /c }`, unused],
    [`{ ${issuer}, jwks-file: /k, token-file: /t }`, unused],
    [`{ ${issuer}, ca: /c, token-file: /t }`],
  ])("is to be looked at, or not: %s", (entry, warning) => {
    expect(warned("issuers", entry)).toEqual(warning ? [`3: issuer a: ${warning}`] : []);
  });
});

describe("a static token", () => {
  it("is known by its hash, until a day or a time", () => {
    const expires = new Date("2027-06-30T00:00:00.000Z");
    expect(only("tokens", `{ ${token} }`)).toEqual({ name: "p", line: 3, sha256, expires });
    const read = (text: string) => only("tokens", `{ name: p, sha256: ${sha256}, expires: "${text}" }`).expires;
    expect(read("2027-06-30T12:00:00Z")).toEqual(new Date("2027-06-30T12:00:00.000Z"));
    expect(read("2027-06-30T12:00:00.25+02:00")).toEqual(new Date("2027-06-30T10:00:00.250Z"));
    expect(read("2028-02-29")).toEqual(new Date("2028-02-29T00:00:00.000Z"));
  });

  it("is to be looked at if it never expires, and in its line if it is no mapping", () => {
    expect(only("tokens", `{ name: p, sha256: ${sha256} }`).expires).toBeUndefined();
    expect(warned("tokens", `{ name: p, sha256: ${sha256} }`)).toEqual(["3: token p never expires"]);
    const { warnings } = readPolicy(withEntries("tokens", "x"));
    expect(warnings[0]).toEqual({ line: 3, text: "an entry of tokens never expires" });
  });
});
