import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { roleOf, roles } from "../../../src/call/roles.ts";
import { forAllTenants } from "../../../src/cli/policy/question.ts";
import { run } from "../../support/cli-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { policyText } from "../../support/sample-policy.ts";

/** `claims` is what claims.json holds. */
function explain(args: readonly string[], { policy = policyText, claims = {} as object | string } = {}) {
  const text = typeof claims === "string" ? claims : JSON.stringify(claims);
  const folder = directory({ "policy.yaml": policy, "claims.json": text });
  const paths = args.map((arg) => (arg === "claims.json" ? join(folder, arg) : arg));
  return run(["policy", "explain", join(folder, "policy.yaml"), ...paths]);
}

const ingest = ["--as", "spiffe://example.org/ingest"];
const byClaims = ["--issuer", "sso", "--claims", "claims.json"];

it("prints the caller, the question, each rule with why, and the decision", async () => {
  const cwd = directory({ "policy.yaml": policyText });
  const { code, out, err } = await run(
    ["policy", "explain", "policy.yaml", ...ingest, "--rpc", "EncryptPii", "--tenant", "acme"],
    { cwd },
  );
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toBe(`caller  spiffe://example.org/ingest
rpc     EncryptPii, which needs encrypt for acme

ingest   line 13  matches: sign, encrypt for every tenant
site     line 14  the caller is a SPIFFE id, not a DNS name
support  line 18  the caller is a SPIFFE id, not an issuer's subject
admin    line 23  the caller is a SPIFFE id, not a static token
eraser   line 24  the caller is a SPIFFE id, not a static token
reader   line 25  the caller is a SPIFFE id, not a static token

allowed by ingest (line 13)
`);
});

const lastLine = (out: string) => out.trimEnd().split("\n").at(-1);

describe("with an rpc", () => {
  it.each([
    ["DecryptPii", "acme", "denied: no rule gives decrypt for acme"],
    ["DecryptPii", undefined, "denied: no rule gives decrypt for all tenants; --tenant asks for one"],
    ["Validate", "acme", "denied: no rule gives operate for all tenants"],
    ["Validate", undefined, "denied: no rule gives operate for all tenants"],
  ])("%s for %s it exits with 1: %s", async (rpc, tenant, text) => {
    const { code, out } = await explain([...ingest, "--rpc", rpc, ...(tenant ? ["--tenant", tenant] : [])]);
    expect([code, lastLine(out)]).toEqual([1, text]);
  });

  it("that needs its role for all tenants, a tenant makes no difference, and it says so", async () => {
    const { code, out } = await explain(["--as", "token:admin", "--rpc", "Validate", "--tenant", "acme"]);
    expect([code, lastLine(out)]).toEqual([0, "allowed by admin (line 23)"]);
    expect(out).toContain("rpc     Validate, which needs operate for all tenants\n");
    expect([...forAllTenants].sort()).toEqual(everyInHandlers().sort());
  });

  it("without a tenant a caller is allowed by a rule for all of them", async () => {
    const { code, out } = await explain([...ingest, "--rpc", "SignSpan"]);
    expect([code, lastLine(out)]).toEqual([0, "allowed by ingest (line 13)"]);
  });

  it("says what separation refuses", async () => {
    const { code, out } = await explain(["--as", "token:admin", "--rpc", "ScheduleKeyDestruction", "--tenant", "acme"]);
    const why = "eraser gives destroy and reader gives decrypt for acme, which separation keeps apart";
    expect([code, lastLine(out)]).toEqual([1, `denied: ${why}`]);
  });

  it.each(Object.keys(roleOf))("%s is known in every spelling", async (name) => {
    const pascal = `${name[0]!.toUpperCase()}${name.slice(1)}`;
    for (const spelling of [name, pascal, name.toLowerCase()]) {
      const { out } = await explain([...ingest, "--rpc", spelling]);
      expect(out).toContain(`${pascal}, which needs ${roleOf[name as keyof typeof roleOf]} for`);
    }
  });

  it.each([
    ["EncryptPi", "no rpc is called EncryptPi; did you mean EncryptPii?"],
    ["frobnicate", "no rpc is called frobnicate; there are GenerateDataKey, "],
  ])("%s, it says: %s", async (rpc, text) => {
    const { code, err } = await explain([...ingest, "--rpc", rpc]);
    expect(code).toBe(2);
    expect(err).toContain(text);
  });
});

/** Rpcs whose handlers ask for their role for all tenants, by the sources. */
function everyInHandlers(): string[] {
  const folder = join(import.meta.dirname, "..", "..", "..", "src", "service");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  const sources = files.map((name) => readFileSync(join(folder, name), "utf8"));
  return sources.flatMap((text) => [...text.matchAll(/\.every\(roleOf\.(\w+)\)/g)].map(([, rpc]) => rpc!));
}

describe("without an rpc it lists every role that rules give", () => {
  it("for all tenants", async () => {
    const { code, out } = await explain(["--as", "token:admin"]);
    expect(code).toBe(0);
    expect(out).toMatch(
      /\n\nfor all tenants\n {2}operate +allowed by admin \(line 23\)\n {2}key-admin +allowed by .*\n$/,
    );
  });

  it("for a tenant, with what separation refuses", async () => {
    const { out } = await explain(["--as", "token:admin", "--tenant", "acme"]);
    expect(out).toMatch(/^for acme\n {2}decrypt +allowed by reader \(line 25\)$/m);
    expect(out).toMatch(/^ {2}destroy +denied: eraser gives destroy and reader gives decrypt for acme, /m);
  });

  it("or that there is none", async () => {
    expect((await explain(["--as", "token:app"])).out).toMatch(/\nnothing for all tenants; --tenant asks for one\n$/);
    expect((await explain(["--as", "token:app", "--tenant", "acme"])).out).toMatch(/\nnothing for acme\n$/);
  });
});

describe("the caller", () => {
  it.each([
    ["a SPIFFE id", ["--as", "spiffe://example.org/a/b"], "spiffe://example.org/a/b"],
    ["a certificate's names, in any case", ["--as", "dns:web:A.acme.local,b.local"], "dns:web:a.acme.local"],
    ["a static token", ["--as", "token:app"], "token:app"],
    ["a token's claims", byClaims, "jwt:sso:u:ann"],
  ])("is %s", async (_, args, name) => {
    const { code, out } = await explain(args, { claims: { sub: "u:ann" } });
    expect([code, out.split("\n")[0]]).toEqual([0, `caller  ${name}`]);
  });

  it("is a SPIFFE id by the claims of a JWT-SVID", async () => {
    const args = ["--issuer", "spire", "--claims", "claims.json", "--rpc", "SignSpan", "--tenant", "acme"];
    const { code, out } = await explain(args, { claims: { sub: "spiffe://example.org/ingest" } });
    expect([code, lastLine(out)]).toEqual([0, "allowed by ingest (line 13)"]);
  });

  it.each<[string, string[]]>([
    ["policy explain needs --as spiffe://…", []],
    ["policy explain needs --as", ["--issuer", "sso"]],
    ["not both", [...ingest, ...byClaims]],
    ["not both", [...ingest, "--issuer", "sso"]],
    ["not both", [...ingest, "--claims", "claims.json"]],
    ["tokens have no entry admin:x", ["--as", "token:admin:x"]],
    ["tokens have no entry fkt_…", ["--as", "token:fkt_canary"]],
    ["a caller is spiffe://…, dns:ENTRY:NAME[,NAME…], jwt:ISSUER:SUBJECT or token:NAME", ["--as", "ingest"]],
    ["a caller of an issuer is jwt:ISSUER:SUBJECT", ["--as", "jwt:sso:"]],
    ["issuers have no entry ss; did you mean sso?", ["--as", "jwt:ss:ann"]],
    ["--claim is NAME=TEXT, or /POINTER=TEXT", ["--as", "jwt:sso:ann", "--claim", "level"]],
    ["--claim is NAME=TEXT, or /POINTER=TEXT", ["--as", "jwt:sso:ann", "--claim", "=7"]],
    ["the claim sub is the SUBJECT of jwt:ISSUER:SUBJECT", ["--as", "jwt:sso:ann", "--claim", "sub=bob"]],
    ["the claim /a/b is within another", ["--as", "jwt:sso:ann", "--claim", "a=x", "--claim", "/a/b=y"]],
    ["the claim a has members, and so no value", ["--as", "jwt:sso:ann", "--claim", "/a/b=y", "--claim", "a=x"]],
    ["claims are given to a caller jwt:ISSUER:SUBJECT, and to no other", [...ingest, "--claim", "level=7"]],
    ["claims are given to a caller jwt:ISSUER:SUBJECT", [...byClaims, "--claim", "level=7"]],
    ["claims are given to a caller jwt:ISSUER:SUBJECT", ["--claim", "level=7"]],
    ["tokens have no entry amdin; did you mean admin?", ["--as", "token:amdin"]],
    ["certificates have no entry wbe; did you mean web?", ["--as", "dns:wbe:a.local"]],
    ["issuers have no entry ss; did you mean sso?", ["--issuer", "ss", "--claims", "claims.json"]],
    ["mesh is a trust domain: its callers are spiffe://example.org/…", ["--as", "dns:mesh:a.local"]],
    ['"a.other" is no DNS name under .local', ["--as", "dns:web:a.local,a.other"]],
    ['"" is no DNS name under .local', ["--as", "dns:web:"]],
    ['"*.local" is no DNS name', ["--as", "dns:web:*.local"]],
    ["the policy has no trust domain other.org", ["--as", "spiffe://other.org/a"]],
    ["is no SPIFFE id", ["--as", "spiffe://example.org"]],
    ["is no SPIFFE id", ["--as", "spiffe://example.org/a/../b"]],
    ["is no SPIFFE id", ["--as", "spiffe://example.org/."]],
    ["is no SPIFFE id", ["--as", "spiffe://example.org/a/"]],
    ["is no SPIFFE id", ["--as", "spiffe://example.org/a%2Fb"]],
    ["is no SPIFFE id", ["--as", `spiffe://example.org/${"a".repeat(2048)}`]],
    ["--tenant must match", [...ingest, "--tenant", "ACME"]],
  ])("is refused as wrong usage: %s", async (text, args) => {
    const { code, out, err } = await explain(args, { claims: { sub: "u:ann" } });
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(text);
  });

  it.each<[string, string, object]>([
    ["sso", "use the entry of issuers that has its trust domain, not sso", { sub: "spiffe://example.org/a" }],
    ["spire", "spiffe://other.org/a", { sub: "spiffe://other.org/a" }],
    ["spire", "is no SPIFFE id", { sub: "ann" }],
  ])("of issuer %s is refused as wrong usage: %s", async (issuer, text, claims) => {
    const { code, err } = await explain(["--issuer", issuer, "--claims", "claims.json"], { claims });
    expect(code).toBe(2);
    expect(err).toContain(issuer === "spire" && text.startsWith("spiffe") ? "no trust domain other.org" : text);
  });

  it("is refused if its trust domain is another entry's", async () => {
    const other = "  - { name: other, trust-domain: other.org, bundle-file: b.json, audience: fluo-kms }\n";
    const policy = policyText.replace("tokens:\n", `${other}tokens:\n`);
    const args = ["--issuer", "spire", "--claims", "claims.json"];
    const { code, err } = await explain(args, { policy, claims: { sub: "spiffe://other.org/a" } });
    expect(code).toBe(2);
    expect(err).toContain("sub is of another trust domain than example.org");
  });

  it.each<[string, object | string]>([
    ["is no JSON", "{"],
    ["must be an object", "[]"],
    ["sub: is there twice", '{ "sub": "a", "sub": "b" }'],
    ["the claims need sub", {}],
    ["the claims need sub", { sub: "" }],
    ["the claims need sub", { sub: 7 }],
    ["the claims need sub", { sub: "a\nb" }],
    ["the claims need sub", { sub: "a".repeat(513) }],
  ])("is refused for claims, which fail: %s (%j)", async (text, claims) => {
    const { code, out, err } = await explain(byClaims, { claims });
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain(text);
  });
});

describe("--claim adds claims to --as jwt:…", () => {
  const asked = (...claims: string[]) =>
    explain([
      ...["--as", "jwt:sso:u:ann", ...claims.flatMap((claim) => ["--claim", claim])],
      ...["--rpc", "DecryptPii", "--tenant", "globex-eu"],
    ]);

  it("by a name and by a JSON Pointer; what is there again is a list", async () => {
    const claims = [
      "level=7",
      "/realm/roles=user",
      "/realm/roles=support",
      "kms_tenants=acme",
      "kms_tenants=globex-eu",
    ];
    const { code, out, err } = await asked(...claims);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toBe(`caller  jwt:sso:u:ann
rpc     DecryptPii, which needs decrypt for globex-eu

ingest   line 13  the caller is an issuer's subject, not a SPIFFE id
site     line 14  the caller is an issuer's subject, not a DNS name
support  line 18  matches: decrypt for 2 tenants that claim kms_tenants names
admin    line 23  the caller is an issuer's subject, not a static token
eraser   line 24  the caller is an issuer's subject, not a static token
reader   line 25  the caller is an issuer's subject, not a static token

allowed by support (line 18)
`);
  });

  it.each([
    [[], "there is no claim /realm/roles"],
    [["/realm/roles=user"], "claim /realm/roles has not support"],
    [["/realm/roles=support"], "there is no claim level"],
    [["/realm/__proto__=support"], "there is no claim /realm/roles"],
    [["/realm/roles=support", "level=a=7"], "claim level has not 7"],
    [["aud=other"], "aud has not fluo-kms or kms, which issuer sso wants"],
  ])("%j: %s", async (claims, text) => {
    const { code, out } = await asked(...claims);
    expect(code).toBe(1);
    expect(out).toContain(text);
  });

  it("and is not needed for a rule that asks for a subject alone", async () => {
    const { code, out } = await explain(["--as", "jwt:spire:spiffe://example.org/ingest", "--rpc", "SignSpan"]);
    expect([code, lastLine(out)]).toEqual([0, "allowed by ingest (line 13)"]);
  });
});

describe("notes say that the service would refuse the credential", () => {
  it("of a token that has expired", async () => {
    const policy = policyText.replace("2027-06-30", "2020-06-30");
    const { code, out } = await explain(["--as", "token:admin"], { policy });
    expect(code).toBe(0);
    expect(out).toContain("note    token admin expired at 2020-06-30T00:00:00.000Z: the service refuses it\n");
    expect((await explain(["--as", "token:app"])).out).not.toContain("note");
  });

  it("of claims of another issuer or for another audience", async () => {
    const { out } = await explain(byClaims, { claims: { sub: "u:a", iss: "https://canary", aud: ["canary"] } });
    expect(out).toContain("note    iss is not that of issuer sso: the service refuses such a token\n");
    expect(out).toContain(
      "note    aud has not fluo-kms or kms, which issuer sso wants: the service refuses such a token\n",
    );
    expect(out).not.toContain("canary");
  });

  it.each([
    { sub: "u:a" },
    { sub: "u:a", iss: "https://sso.example.org", aud: "kms" },
    { sub: "u:a", aud: ["x", "fluo-kms"] },
  ])("and not of %j", async (claims) => {
    expect((await explain(byClaims, { claims })).out).not.toContain("note");
  });
});

it("attack 62: shows no claim but sub, as text and as JSON", async () => {
  const claims = {
    sub: "u:ann",
    realm: { roles: ["support", "canary"] },
    level: 7,
    kms_tenants: ["acme", "globex-canary"],
    email: "canary@example.org",
    iss: "canary",
    aud: "canary",
    x: "canary",
  };
  for (const more of [[], ["--json"], ["--rpc", "DecryptPii", "--tenant", "acme"], ["--rpc", "SignSpan", "--json"]]) {
    const { out, err } = await explain([...byClaims, ...more], { claims });
    expect(out).toContain("u:ann");
    expect(out + err).not.toContain("canary");
  }
  const { out } = await explain(byClaims, { claims });
  expect(out).toContain("matches: decrypt for 2 tenants that claim kms_tenants names\n");
});

describe("as JSON", () => {
  it("it has the decision of an rpc", async () => {
    const answer = async (...args: string[]) => JSON.parse((await explain([...args, "--json"])).out);
    expect(await answer(...ingest, "--rpc", "signSpan", "--tenant", "acme")).toMatchObject({
      caller: "spiffe://example.org/ingest",
      notes: [],
      tenant: "acme",
      rpc: "SignSpan",
      role: "sign",
      allowed: true,
      rule: "ingest",
      line: 13,
    });
    expect(await answer(...ingest, "--rpc", "DecryptPii")).toMatchObject({
      tenant: null,
      role: "decrypt",
      allowed: false,
      apart: false,
      why: "no rule gives decrypt for all tenants",
    });
    expect(await answer("--as", "token:admin", "--rpc", "Validate", "--tenant", "acme")).toMatchObject({
      tenant: null,
    });
  });

  it("it has each rule, and without an rpc each role", async () => {
    const answer = JSON.parse((await explain([...ingest, "--tenant", "acme", "--json"])).out);
    expect(answer.rules.slice(0, 2)).toEqual([
      { name: "ingest", line: 13, matches: true, roles: ["sign", "encrypt"], tenants: "every tenant" },
      { name: "site", line: 14, matches: false, why: "the caller is a SPIFFE id, not a DNS name" },
    ]);
    expect(Object.keys(answer.roles)).toEqual([...roles]);
    expect(answer.roles.sign).toEqual({ allowed: true, rule: "ingest", line: 13 });
    expect(answer.rpc).toBeUndefined();
    const ofAdmin = JSON.parse((await explain(["--as", "token:admin", "--tenant", "beta", "--json"])).out);
    expect(ofAdmin.roles.decrypt).toEqual({ allowed: true, rule: "reader", line: 25 });
  });
});

it("fails for a policy that has problems, and names them all", async () => {
  const { code, out, err } = await explain(ingest, { policy: "version: 2\nrules: {}\n" });
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toMatch(/^fluo-kms: .*policy\.yaml:1: version: 1 is the one there is$/m);
  expect(err).toMatch(/^fluo-kms: .*policy\.yaml:2: the policy needs rules/m);
  const json = JSON.parse((await explain([...ingest, "--json"], { policy: "version: 2\nrules: {}\n" })).out);
  expect(json).toMatchObject({ code: "FAILED", message: expect.stringMatching(/policy\.yaml has 2 problems$/) });
  expect(json.fields[0]).toMatchObject({ field: expect.stringMatching(/policy\.yaml:1$/) });
});

describe("a rule that demands a token", () => {
  const policy = `${policyText}  - { name: gate, who: { spiffe: "spiffe://example.org/*" }, token: required }
  - { name: edge, who: { dns: { certificates: web, name: "a.acme.local" } }, token: required }
`;

  it("has the certificate give nothing, whatever other rules do", async () => {
    const { code, out } = await explain([...ingest, "--rpc", "EncryptPii", "--tenant", "acme"], { policy });
    expect([code, lastLine(out)]).toEqual([1, "denied: gate demands a token beside this certificate"]);
    expect(out).toMatch(/^ingest +line 13 +matches: sign, encrypt for every tenant$/m);
    expect(out).toMatch(/^gate +line 26 +matches: demands a token beside its certificate$/m);
    expect(out).toContain(
      "note    this is about a certificate; of a JWT-SVID with that id ask as jwt:ISSUER:spiffe://…",
    );
    const byDns = await explain(["--as", "dns:web:a.acme.local"], { policy });
    expect([byDns.code, lastLine(byDns.out)]).toEqual([0, "denied: edge demands a token beside this certificate"]);
    const other = await explain(["--as", "dns:web:b.acme.local", "--rpc", "EncryptPii", "--tenant", "acme"], {
      policy,
    });
    expect([other.code, lastLine(other.out)]).toEqual([0, "allowed by site (line 14)"]);
  });

  it("has no effect on what a token proves, be it the same SPIFFE id", async () => {
    const svid = ["--issuer", "spire", "--claims", "claims.json", "--rpc", "EncryptPii", "--tenant", "acme"];
    const { code, out } = await explain(svid, { policy, claims: { sub: "spiffe://example.org/ingest" } });
    expect([code, lastLine(out)]).toEqual([0, "allowed by ingest (line 13)"]);
    expect(out).toMatch(/^gate .*demands a token beside its certificate, and the caller has shown one$/m);
  });

  it("is told as JSON", async () => {
    const answer = JSON.parse((await explain([...ingest, "--json"], { policy })).out);
    expect(answer.rules.at(-2)).toEqual({
      name: "gate",
      line: 26,
      matches: true,
      token: "required",
      why: "demands a token beside its certificate",
    });
    expect(answer.roles.sign).toEqual({
      allowed: false,
      apart: false,
      why: "gate demands a token beside this certificate",
    });
  });

  it("is of no certificate that the policy cannot have", async () => {
    const without = policy.replace("  - { name: mesh, trust-domain: example.org, ca: mesh.pem }\n", "");
    const { code, err } = await explain(ingest, { policy: without });
    expect(code).not.toBe(0);
    expect(err).toContain("no entry of certificates has that trust domain");
  });
});
