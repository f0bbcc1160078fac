/** Whom a policy believes: certificates, issuers and static tokens; each refusal with its line and words, each default and each warning. */
import { describe, expect, it } from "vitest";
import { readPolicy } from "../../../src/auth/policy/policy.ts";
import type { CertificatesEntry, IssuerEntry, StaticToken, Trust } from "../../../src/auth/policy/trust.ts";
import { policyOf, problemsOf, sha256, warningsOf } from "../../support/policy-fixture.ts";

/** Lines 1 and 2, then entries from line 3, then no rules. */
const withEntries = (key: keyof Trust, ...entries: string[]) =>
  `version: 1\n${key}:\n${entries.map((entry) => `  - ${entry}\n`).join("")}rules: []\n`;

const certificates = (entry: string): CertificatesEntry =>
  policyOf(withEntries("certificates", entry)).certificates[0]!;
const issuer = (entry: string): IssuerEntry => policyOf(withEntries("issuers", entry)).issuers[0]!;
const token = (entry: string): StaticToken => policyOf(withEntries("tokens", entry)).tokens[0]!;

const known = {
  policy: "version, certificates, issuers, tokens, rules, separation, destruction",
  certificates: "name, ca, trust-domain, dns, crl",
  issuers:
    "name, issuer, trust-domain, audience, algorithms, jwks, jwks-file, bundle, bundle-file, ca, token-file, max-lifetime, clock-tolerance",
  tokens: "name, sha256, expires",
};
const names = "a name matches ^[a-z][a-z0-9-]{0,31}$";

describe("an entry of certificates", () => {
  it("is of a trust domain", () => {
    expect(certificates("{ name: mesh, trust-domain: example.org, ca: /ca.pem }")).toEqual({
      name: "mesh",
      line: 3,
      ca: "/ca.pem",
      crl: undefined,
      trustDomain: "example.org",
      dns: [],
    });
  });

  it("or of DNS names under suffixes, with revocation lists or without", () => {
    const entry = "{ name: web, dns: [.svc.cluster.local, .a-1.example], ca: /ca.pem, crl: /crl.pem }";
    expect(certificates(entry)).toEqual({
      name: "web",
      line: 3,
      ca: "/ca.pem",
      crl: "/crl.pem",
      trustDomain: undefined,
      dns: [".svc.cluster.local", ".a-1.example"],
    });
    expect(certificates("{ name: web, dns: .example.org, ca: /ca.pem }").dns).toEqual([".example.org"]);
  });

  it.each<[what: string, entry: string, problems: string[]]>([
    ["that is no mapping", "mesh", ["an entry of certificates must be a mapping, as in { name: … }"]],
    ["without a name", "{ dns: .a, ca: /c }", ["an entry of certificates needs name"]],
    ["with a name in capitals", "{ name: Mesh, dns: .a, ca: /c }", [`certificates Mesh: ${names}`]],
    ["without an authority", "{ name: a, dns: .a }", ["certificates a needs ca"]],
    ["with two files of authorities", "{ name: a, dns: .a, ca: [/b, /c] }", ["certificates a: ca must be text"]],
    [
      "with neither names",
      "{ name: a, ca: /c }",
      ["certificates a: needs either trust-domain or dns, a list of suffixes"],
    ],
    [
      "with both",
      "{ name: a, ca: /c, dns: .a, trust-domain: b }",
      ["certificates a: needs either trust-domain or dns, a list of suffixes"],
    ],
    [
      "with no suffixes",
      "{ name: a, ca: /c, dns: [] }",
      ["certificates a: needs either trust-domain or dns, a list of suffixes"],
    ],
    ...['"*.example.org"', "example.org", ".Example.org", ".", '".a."', ".a..b", ".-a", `.${"a".repeat(64)}`].map(
      (suffix): [string, string, string[]] => [
        `with the suffix ${suffix}`,
        `{ name: a, ca: /c, dns: [${suffix}] }`,
        [
          `certificates a: ${suffix.replaceAll('"', "").slice(0, 64)}${suffix.length > 64 ? "…" : ""} is no suffix such as .svc.cluster.local, in lower case`,
        ],
      ],
    ),
    ...["spiffe://example.org", "Example.org", '"a b"', "a/b", "a:443", "a".repeat(256)].map(
      (domain): [string, string, string[]] => [
        `with the trust domain ${domain}`,
        `{ name: a, ca: /c, trust-domain: ${domain} }`,
        ["certificates a: a trust domain is a name such as example.org, in lower case"],
      ],
    ),
    [
      "of a trust domain with revocation lists",
      "{ name: a, ca: /c, trust-domain: b, crl: /d }",
      ["certificates a: a trust domain has no crl: SPIRE makes none"],
    ],
    [
      "with a key that it has not",
      "{ name: a, ca: /c, dns: .a, crls: /d }",
      [`an entry of certificates has no crls; known: ${known.certificates}; did you mean crl?`],
    ],
  ])("is refused %s", (_what, entry, problems) => {
    expect(problemsOf(withEntries("certificates", entry))).toEqual(problems.map((text) => `3: ${text}`));
  });

  it("has revocation lists if another has", () => {
    const first = "{ name: a, ca: /c, dns: .a, crl: /d }";
    expect(problemsOf(withEntries("certificates", first, "{ name: b, ca: /e, dns: .b, crl: /f }"))).toEqual([]);
    const text = "has no crl where another entry has one; TLS then wants one for every authority";
    for (const other of ["dns: .b", "trust-domain: b"]) {
      const entries = [first, `{ name: b, ca: /e, ${other} }`];
      expect(problemsOf(withEntries("certificates", ...entries))).toEqual([`4: certificates b: ${text}`]);
      expect(problemsOf(withEntries("certificates", ...entries.toReversed()))).toEqual([`3: certificates b: ${text}`]);
    }
  });

  it("has its name and its trust domain for itself", () => {
    const a = "{ name: a, ca: /c, trust-domain: x }";
    expect(problemsOf(withEntries("certificates", a, "{ name: a, ca: /d, dns: .b }"))).toEqual([
      "4: a second certificates a",
    ]);
    expect(problemsOf(withEntries("certificates", a, "{ name: b, ca: /d, trust-domain: x }"))).toEqual([
      "4: b: the trust domain is that of a too",
    ]);
  });
});

describe("an issuer", () => {
  it("has its keys by discovery, and what is usual for the rest", () => {
    expect(issuer("{ name: sso, issuer: https://sso.example.org/realms/fluo, audience: fluo-kms }")).toEqual({
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

  it("may have all of it", () => {
    const entry =
      "{ name: c, issuer: https://c/, audience: [a, b], algorithms: [ES512, RS256], jwks: https://c:6443/keys?x=y, ca: /ca.pem, token-file: /t, max-lifetime: 15m, clock-tolerance: 0s }";
    expect(issuer(entry)).toMatchObject({
      issuer: "https://c/",
      audiences: ["a", "b"],
      algorithms: ["ES512", "RS256"],
      ca: "/ca.pem",
      tokenFile: "/t",
      keys: { from: "address", at: "https://c:6443/keys?x=y" },
      maxLifetimeMs: 900_000,
      clockToleranceMs: 0,
    });
    expect(issuer("{ name: c, issuer: https://c, audience: a, jwks-file: /k }").keys).toEqual({
      from: "file",
      at: "/k",
    });
  });

  it("may be a trust domain, by its bundle's address or file", () => {
    expect(issuer("{ name: s, trust-domain: example.org, bundle-file: /b, audience: a }")).toMatchObject({
      issuer: undefined,
      trustDomain: "example.org",
      keys: { from: "file", at: "/b" },
    });
    expect(issuer("{ name: s, trust-domain: example.org, bundle: https://b, audience: a }").keys).toEqual({
      from: "address",
      at: "https://b",
    });
  });

  it.each([
    ["1s", 1_000],
    ["90m", 5_400_000],
    ["3650d", 315_360_000_000],
  ])("may have a longest life of %s", (text, ms) => {
    expect(issuer(`{ name: a, issuer: https://a, audience: b, max-lifetime: ${text} }`).maxLifetimeMs).toBe(ms);
  });

  const usual = "name: a, issuer: https://a, audience: b";
  const address = (key: string) => `issuer a: ${key} must be an address such as https://sso.example.org/realms/fluo`;
  const life = "issuer a: max-lifetime must be a duration from 1s to 3650d: a whole number with s, m, h or d, as 24h";

  it.each<[what: string, entry: string, problems: string[]]>([
    ["that is no mapping", "https://a", ["an entry of issuers must be a mapping, as in { name: … }"]],
    ["without a name", "{ issuer: https://a, audience: b }", ["an entry of issuers needs name"]],
    ["without an issuer", "{ name: a, audience: b }", ["issuer a: needs either issuer or trust-domain"]],
    [
      "with a trust domain too",
      "{ name: a, audience: b, issuer: https://a, trust-domain: c, bundle-file: /b }",
      ["issuer a: needs either issuer or trust-domain"],
    ],
    ...[
      "sso.example.org",
      "ftp://a",
      "https:a",
      "https://",
      "https://u:p@a",
      "https://a#b",
      '" https://a"',
      "https:\\\\a",
    ].map((text): [string, string, string[]] => [
      `at ${text}`,
      `{ name: a, issuer: ${text}, audience: b }`,
      [address("issuer")],
    ]),
    ["with keys at no address", `{ ${usual}, jwks: /keys }`, [address("jwks")]],
    [
      "without an audience",
      "{ name: a, issuer: https://a }",
      ["issuer a needs audience: what its tokens name this service"],
    ],
    ["with no audiences", "{ name: a, issuer: https://a, audience: [] }", ["issuer a: audience names none"]],
    ["with an empty audience", '{ name: a, issuer: https://a, audience: "" }', ["issuer a: audience must be text"]],
    [
      "with the audience account",
      "{ name: a, issuer: https://a, audience: [b, account] }",
      ["issuer a: every token of Keycloak has the audience account; add a mapper for one of your own"],
    ],
    ...["HS256", "none", "RS384", "rs256", '"*"'].map((algorithm): [string, string, string[]] => [
      `with the algorithm ${algorithm}`,
      `{ ${usual}, algorithms: [RS256, ${algorithm}] }`,
      [`issuer a: ${algorithm.replaceAll('"', "")} is none of the algorithms RS256, PS256, ES256, ES384, EdDSA, ES512`],
    ]),
    ["with no algorithms", `{ ${usual}, algorithms: [] }`, ["issuer a: algorithms names none"]],
    [
      "with keys at two places",
      `{ ${usual}, jwks: https://k, jwks-file: /k }`,
      ["issuer a: needs jwks or jwks-file, not both"],
    ],
    [
      "with a bundle",
      `{ ${usual}, bundle: https://k }`,
      ["issuer a: bundle belongs to a trust-domain; here it is jwks or jwks-file"],
    ],
    [
      "with a bundle's file",
      `{ ${usual}, bundle-file: /k }`,
      ["issuer a: bundle-file belongs to a trust-domain; here it is jwks or jwks-file"],
    ],
    [
      "of a trust domain with a key set",
      "{ name: a, trust-domain: b, audience: c, jwks-file: /k, bundle-file: /b }",
      ["issuer a: jwks-file belongs to an issuer; here it is bundle or bundle-file"],
    ],
    [
      "of a trust domain without keys",
      "{ name: a, trust-domain: b, audience: c }",
      ["issuer a: needs bundle or bundle-file"],
    ],
    [
      "of a trust domain of no form",
      "{ name: a, trust-domain: https://b, audience: c, bundle-file: /b }",
      ["issuer a: a trust domain is a name such as example.org, in lower case"],
    ],
    ...["1 hour", "0s", "3651d", "1.5h", "-1h", "24", "99999999999h", "1w"].map((text): [string, string, string[]] => [
      `with a longest life of ${text}`,
      `{ ${usual}, max-lifetime: ${text} }`,
      [life],
    ]),
    ...["61s", "2m", "-1s"].map((text): [string, string, string[]] => [
      `with a tolerance of ${text}`,
      `{ ${usual}, clock-tolerance: ${text} }`,
      ["issuer a: clock-tolerance must be a duration from 0s to 60s: a whole number with s, m, h or d, as 30s"],
    ]),
    [
      "with a key that it has not",
      `{ ${usual}, audiences: c }`,
      [`an entry of issuers has no audiences; known: ${known.issuers}; did you mean audience?`],
    ],
  ])("is refused %s", (_what, entry, problems) => {
    expect(problemsOf(withEntries("issuers", entry))).toEqual(problems.map((text) => `3: ${text}`));
  });

  it("has its name, its address and its trust domain for itself", () => {
    const entries = (second: string) => problemsOf(withEntries("issuers", `{ ${usual} }`, second));
    expect(entries("{ name: a, issuer: https://b, audience: b }")).toEqual(["4: a second issuer a"]);
    expect(entries("{ name: b, issuer: https://a, audience: c }")).toEqual(["4: b: the issuer is that of a too"]);
    expect(entries("{ name: b, issuer: https://a/, audience: c }")).toEqual([]);
    const spire = "{ name: s, trust-domain: x, bundle-file: /b, audience: c }";
    expect(problemsOf(withEntries("issuers", spire, spire.replace("name: s", "name: t")))).toEqual([
      "4: t: the trust domain is that of s too",
    ]);
  });

  it("may have the trust domain of certificates", () => {
    const text = withEntries("issuers", "{ name: s, trust-domain: x, bundle-file: /b, audience: c }");
    expect(problemsOf(`${text}certificates: [{ name: s, trust-domain: x, ca: /c }]\n`)).toEqual([]);
  });

  it("has at most 99 others beside it", () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, at) => `{ name: i${at}, issuer: https://i${at}, audience: b }`);
    expect(policyOf(withEntries("issuers", ...many(100))).issuers).toHaveLength(100);
    expect(problemsOf(withEntries("issuers", ...many(101)))).toEqual(["3: 101 issuers, of at most 100"]);
  });

  it("is to be looked at with the audience of a login client", () => {
    const audience = "1-a.apps.googleusercontent.com";
    expect(
      warningsOf(withEntries("issuers", `{ name: g, issuer: https://accounts.google.com, audience: ${audience} }`)),
    ).toEqual(["3: issuer g: the audience is a login client's id, so every user who logs in there has such tokens"]);
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

  it("is to be looked at with an address that anybody can answer for", () => {
    const text = "3: issuer a: http: is for loopback in profile dev";
    expect(warningsOf(withEntries("issuers", "{ name: a, issuer: http://localhost:8081, audience: b }"))).toEqual([
      text,
    ]);
    expect(warningsOf(withEntries("issuers", `{ ${usual}, jwks: http://localhost/keys }`))).toEqual([text]);
    expect(warningsOf(withEntries("issuers", `{ ${usual} }`))).toEqual([]);
  });

  it("is to be looked at with what nothing is fetched by", () => {
    const text = "3: issuer a: ca and token-file are of no use with a file of keys";
    for (const other of ["ca: /c", "token-file: /t"]) {
      expect(warningsOf(withEntries("issuers", `{ ${usual}, jwks-file: /k, ${other} }`))).toEqual([text]);
      expect(warningsOf(withEntries("issuers", `{ ${usual}, ${other} }`))).toEqual([]);
    }
  });
});

describe("a static token", () => {
  it("is known by its hash, until a day or a time", () => {
    expect(token(`{ name: p, sha256: ${sha256}, expires: 2027-06-30 }`)).toEqual({
      name: "p",
      line: 3,
      sha256,
      expires: new Date("2027-06-30T00:00:00.000Z"),
    });
    const expires = (text: string) =>
      token(`{ name: p, sha256: ${sha256}, expires: "${text}" }`).expires?.toISOString();
    expect(expires("2027-06-30T12:00:00Z")).toBe("2027-06-30T12:00:00.000Z");
    expect(expires("2027-06-30T12:00:00.25+02:00")).toBe("2027-06-30T10:00:00.250Z");
    expect(expires("2028-02-29")).toBe("2028-02-29T00:00:00.000Z");
  });

  it("is to be looked at if it never expires", () => {
    const text = withEntries("tokens", `{ name: p, sha256: ${sha256} }`);
    expect(policyOf(text).tokens[0]!.expires).toBeUndefined();
    expect(warningsOf(text)).toEqual(["3: token p never expires"]);
  });

  it("that is no mapping is to be looked at in its line", () => {
    const { warnings } = readPolicy(withEntries("tokens", "x"));
    expect(warnings[0]).toEqual({ line: 3, text: "an entry of tokens never expires" });
  });

  const hex = "token p: sha256 must be 64 lower-case hexadecimal digits, as fluo-kms token new prints them";
  const date = "token p: expires must be a date such as 2027-06-30, or with a time as 2027-06-30T12:00:00Z";

  it.each<[what: string, entry: string, problems: string[]]>([
    ["that is no mapping", sha256, ["an entry of tokens must be a mapping, as in { name: … }"]],
    ["without a name", `{ sha256: ${sha256}, expires: 2027-06-30 }`, ["an entry of tokens needs name"]],
    ["without a hash", "{ name: p, expires: 2027-06-30 }", ["token p needs sha256"]],
    [
      "with the token in place of its hash",
      `{ name: p, sha256: fkt_${"A".repeat(43)}, expires: 2027-06-30 }`,
      ["token p: sha256 is the token itself, which is no secret any more: make another by fluo-kms token new"],
    ],
    ...[sha256.toUpperCase(), sha256.slice(1), `${sha256}a`, `sha256:${sha256}`, "x".repeat(64)].map(
      (text): [string, string, string[]] => [
        `with the hash ${text}`,
        `{ name: p, sha256: "${text}", expires: 2027-06-30 }`,
        [hex],
      ],
    ),
    ...[
      ...["never", "2027-02-30", "2027-13-01", "2027-00-10", "30.06.2027", "2027-6-30", "2027", "1782864000"],
      ...[
        "2027-06-30T24:00:00Z",
        "2027-06-30T12:00:00",
        "2027-06-30T12:00Z",
        "2027-06-30T12:61:00Z",
        "2027-06-30 12:00:00Z",
      ],
    ].map((text): [string, string, string[]] => [
      `with the end ${text}`,
      `{ name: p, sha256: ${sha256}, expires: "${text}" }`,
      [date],
    ]),
    [
      "with a key that it has not",
      `{ name: p, sha256: ${sha256}, expires: 2027-06-30, token: x }`,
      [`an entry of tokens has no token; known: ${known.tokens}`],
    ],
  ])("is refused %s", (_what, entry, problems) => {
    expect(problemsOf(withEntries("tokens", entry))).toEqual(problems.map((text) => `3: ${text}`));
  });

  it("has its name and its hash for itself", () => {
    const p = `{ name: p, sha256: ${sha256}, expires: 2027-06-30 }`;
    expect(problemsOf(withEntries("tokens", p, p.replace("ab", "cd")))).toEqual(["4: a second token p"]);
    expect(problemsOf(withEntries("tokens", p, p.replace("name: p", "name: q")))).toEqual([
      "4: q: the sha256 is that of p too",
    ]);
  });
});

describe("the lists of a policy", () => {
  it.each(["certificates", "issuers", "tokens"] as const)("are lists: %s", (key) => {
    const text = `${key} must be a list: each entry begins with "- name: …"`;
    expect(problemsOf(`version: 1\nrules: []\n${key}:\n  a: b\n`)).toEqual([`4: ${text}`]);
    expect(problemsOf(`version: 1\nrules: []\n${key}: a\n`)).toEqual([`3: ${text}`]);
    expect(problemsOf(`version: 1\nrules: []\n${key}: []\n`)).toEqual([]);
  });

  it("may have one name in two of them", () => {
    const text = `version: 1
certificates: [{ name: a, dns: .a, ca: /c }]
issuers: [{ name: a, issuer: https://a, audience: b }]
tokens: [{ name: a, sha256: ${sha256}, expires: 2027-06-30 }]
rules: [{ name: a, who: { token: a }, roles: sign, tenants: a }]
`;
    expect(problemsOf(text)).toEqual([]);
  });
});
