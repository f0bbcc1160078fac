/** The example policies of docs/policies/, and the schema beside them for editors. */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import schema from "../../docs/policies/policy.schema.json" with { type: "json" };
import { explain } from "../../src/auth/explain.ts";
import type { Identity } from "../../src/auth/policy/identity.ts";
import { readPolicy } from "../../src/auth/policy/policy.ts";
import { type Role, roles } from "../../src/call/roles.ts";
import { isValid } from "../support/json-schema.ts";
import { randomPolicy } from "../support/random-policy.ts";
import { generator } from "../support/random-span.ts";
import { run } from "../support/cli-fixture.ts";

const folder = join(import.meta.dirname, "..", "..", "docs", "policies");
const textOf = (name: string) => readFileSync(join(folder, name), "utf8");

/** Each example, and its warnings. */
const examples: Record<string, string[]> = {
  "auth0.yaml": [],
  "cert-manager.yaml": [],
  "entra.yaml": [],
  "github.yaml": [],
  "google.yaml": [],
  "jwt-svid.yaml": [],
  "keycloak.yaml": [],
  "kubernetes.yaml": [],
  "spiffe.yaml": [],
  "static-tokens.yaml": [],
};

it("are all the files of the folder, but the schema and what belongs to cert-manager", () => {
  const others = ["cert-manager-approver.yaml", "policy.schema.json"];
  expect(readdirSync(folder).sort()).toEqual([...Object.keys(examples), ...others].sort());
});

describe.each(Object.entries(examples))("%s", (name, warnings) => {
  it("passes policy check, with these warnings and no others", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-example-")), name);
    writeFileSync(file, textOf(name).replaceAll(/expires: \d{4}/g, "expires: 9999")); // or it ends one day
    const { code, out, err } = await run(["policy", "check", "--no-files", "--json", file]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(JSON.parse(out)).toMatchObject({ ok: true, problems: [], warnings });
  });

  it("says what to do at the issuer's side, gives somebody operate and key-admin, and is right for editors", () => {
    const text = textOf(name);
    expect(text).toMatch(/^# yaml-language-server: \$schema=policy\.schema\.json\n(#.*\n){5,}version: 1$/m);
    const { policy } = readPolicy(text);
    const given = policy!.rules.flatMap((rule) => [...rule.roles]);
    expect(given).toEqual(expect.arrayContaining(["operate", "key-admin"]));
    expect(isValid(schema, parse(text))).toBe(true);
  });

  it("is refused by both with a key misspelt", () => {
    const text = textOf(name).replace("    tenants:", "    tenant:");
    expect(readPolicy(text).policy).toBeUndefined();
    expect(isValid(schema, parse(text))).toBe(false);
  });
});

describe("what an example's caller may do, and may not", () => {
  const spiffe = (id: string): Identity => ({ kind: "spiffe", id: `spiffe://example.org/ns/${id}` });
  const dns = (name: string): Identity => ({ kind: "dns", certificates: "cluster", names: [name] });
  const jwt = (issuer: string, subject: string, claims: object = {}): Identity => ({
    kind: "jwt",
    issuer,
    subject,
    claims: { sub: subject, ...claims },
  });
  const sso = (role: string, ...tenants: string[]) =>
    jwt("sso", "7d0f", { realm_access: { roles: [role] }, kms_tenants: tenants });
  const pod = (namespace: string, name: string) => jwt("cluster", `system:serviceaccount:${namespace}:${name}`);
  const main = { repository_id: "1304267049", ref: "refs/heads/main" };

  it.each<[string, Identity, allowed: [Role, string?][], denied: [Role, string?][]]>([
    [
      "spiffe.yaml",
      spiffe("acme/sa/backend"),
      [["decrypt", "acme"]],
      [
        ["decrypt", "globex-1"],
        ["sign", "acme"],
      ],
    ],
    ["spiffe.yaml", spiffe("fluo/sa/ingest"), [["sign"], ["encrypt", "any"]], [["decrypt", "acme"], ["operate"]]],
    ["jwt-svid.yaml", spiffe("globex-1/sa/backend"), [["encrypt", "globex-1"]], [["decrypt", "acme"]]],
    ["cert-manager.yaml", dns("web.acme.svc.cluster.local"), [["encrypt", "acme"]], [["encrypt", "globex-1"]]],
    ["cert-manager.yaml", dns("web.other.svc.cluster.local"), [], [["encrypt", "other"]]],
    ["cert-manager.yaml", dns("collector.acme.svc.cluster.local"), [], [["sign", "acme"]]],
    ["kubernetes.yaml", pod("acme", "backend"), [["decrypt", "acme"]], [["decrypt", "globex-1"]]],
    ["kubernetes.yaml", pod("kube-system", "backend"), [], [["decrypt", "kube-system"]]],
    ["kubernetes.yaml", pod("fluo", "operator"), [["operate"], ["key-admin", "acme"]], [["destroy", "acme"]]],
    [
      "keycloak.yaml",
      sso("kms-support", "acme", "x"),
      [["decrypt", "acme"]],
      [
        ["decrypt", "x"],
        ["decrypt", "globex-1"],
      ],
    ],
    [
      "keycloak.yaml",
      sso("kms-operators"),
      [["operate"]],
      [
        ["key-admin", "acme"],
        ["decrypt", "acme"],
      ],
    ],
    ["entra.yaml", jwt("entra", "a", { roles: ["Kms.Operate"] }), [["operate"]], [["key-admin"], ["sign", "acme"]]],
    ["auth0.yaml", jwt("auth0", "AbC123@clients"), [["sign", "acme"]], [["sign", "globex"], ["operate"]]],
    ["auth0.yaml", jwt("auth0", "a", { permissions: ["kms:key-admin"] }), [["key-admin", "acme"]], [["operate"]]],
    ["google.yaml", jwt("google", "104857600000000000000"), [["sign", "acme"]], [["operate"]]],
    ["google.yaml", jwt("google", "1", { email: "job@x.iam.gserviceaccount.com" }), [], [["sign", "acme"]]],
    ["github.yaml", jwt("github", "repo:a/b", main), [["verify", "acme"]], [["verify", "globex"], ["status"]]],
    ["github.yaml", jwt("github", "repo:a/b", { ...main, ref: "refs/heads/x" }), [], [["verify", "acme"]]],
    ["static-tokens.yaml", { kind: "token", token: "prometheus" }, [["metrics"]], [["status"], ["decrypt", "acme"]]],
    ["static-tokens.yaml", { kind: "token", token: "eraser" }, [["destroy", "acme"]], [["decrypt", "acme"]]],
  ])("%s", (name, identity, allowed, denied) => {
    const { decide } = explain(readPolicy(textOf(name)).policy!, identity);
    expect(allowed.filter((asked) => !decide(...asked).allowed)).toEqual([]);
    expect(denied.filter((asked) => decide(...asked).allowed)).toEqual([]);
  });
});

it("cert-manager's approver lets a namespace have names under itself alone, by a dot", () => {
  const [policy] = parseAllDocuments(textOf("cert-manager-approver.yaml")).map((each) => each.toJS());
  const [validation] = policy.spec.allowed.dnsNames.validations;
  expect(validation.rule).toBe("self.endsWith('.' + cr.namespace + '.svc.cluster.local')");
  expect(Object.keys(policy.spec.allowed)).toEqual(["dnsNames", "usages"]);
});

describe("the schema", () => {
  const token = { name: "a", sha256: "f".repeat(64), expires: "2027-06-30" };
  const rule = { name: "r", who: { token: "a" }, roles: ["verify"], tenants: "*" };
  const issuer = { name: "sso", issuer: "https://sso.example.org", audience: "fluo-kms" };
  const mesh = { name: "mesh", "trust-domain": "example.org", ca: "/a.pem" };
  const spire = { name: "spire", "trust-domain": "example.org", "bundle-file": "/b.json", audience: "fluo-kms" };
  const web = { name: "web", dns: [".local"], ca: "/a.pem" };
  const good = { version: "1", certificates: [mesh, web], issuers: [issuer], tokens: [token], rules: [rule] };
  const jwt = (who: object) => ({ rules: [{ ...rule, who: { jwt: { issuer: "sso", ...who } } }] });
  const tenants = (given: unknown) => ({ rules: [{ ...rule, tenants: given }] });
  const byClaim = (given: unknown) => ({ rules: [{ ...jwt({ subject: "a" }).rules[0], tenants: given }] });

  const both = (change: object) => {
    const text = JSON.stringify({ ...good, ...change });
    return [readPolicy(text).policy !== undefined, isValid(schema, JSON.parse(text))];
  };

  it("knows the roles that there are", () => {
    expect(schema.definitions.role.enum).toEqual([...roles]);
  });

  it.each<[string, object]>([
    ["nothing but tokens", { certificates: [], issuers: [] }],
    ["settings", { separation: "off", destruction: "two-person" }],
    ["one role and one tenant", { rules: [{ ...rule, roles: "sign", tenants: "acme" }] }],
    ["a prefix", tenants(["acme-*", "b_*", "c.*"])],
    ["a limit", { rules: [{ ...rule, limit: "50" }] }],
    ["a limit as a number", { rules: [{ ...rule, limit: 50 }] }],
    ["a bundle", { issuers: [issuer, spire] }],
    ["several audiences and an algorithm", { issuers: [{ ...issuer, audience: ["a", "b"], algorithms: ["ES512"] }] }],
    ["times", { issuers: [{ ...issuer, "max-lifetime": "15m", "clock-tolerance": "60s" }] }],
    ["a claim that is a pointer", jwt({ claims: { "/realm_access/roles": "ops", "https://a/b": "c" } })],
    ["a claim whose value is no text in other readers", jwt({ claims: { level: 7, admin: true } })],
    ["tenants by a claim", byClaim({ claim: "kms_tenants", within: ["acme", "b-*"] })],
    ["an expiry with a time", { tokens: [{ ...token, expires: "2027-06-30T12:00:00Z" }] }],
  ])("takes, as the reader does, %s", (_, change) => {
    expect(both(change)).toEqual([true, true]);
  });

  it.each<[string, object]>([
    ["another version", { version: "2" }],
    ["an unknown key", { rule: [] }],
    ["no rules", { rules: undefined }],
    ["a word for separation", { separation: "yes" }],
    ["a word for destruction", { destruction: "two" }],
    ["a name in capitals", { tokens: [{ ...token, name: "A" }] }],
    ["a name of 33 characters", { certificates: [mesh, { ...web, name: "a".repeat(33) }] }],
    ["the token in place of its hash", { tokens: [{ ...token, sha256: `fkt_${"A".repeat(43)}` }] }],
    ["a hash in capitals", { tokens: [{ ...token, sha256: "F".repeat(64) }] }],
    ["a date in words", { tokens: [{ ...token, expires: "next year" }] }],
    ["a trust domain and dns", { certificates: [{ ...mesh, dns: [".local"] }] }],
    ["neither", { certificates: [{ name: "x", ca: "/a.pem" }] }],
    ["a crl of a trust domain", { certificates: [{ ...mesh, crl: "/c.pem" }] }],
    ["a suffix without its dot", { certificates: [mesh, { ...web, dns: ["local"] }] }],
    ["a trust domain in capitals", { certificates: [{ ...mesh, "trust-domain": "Example.org" }] }],
    ["no audience", { issuers: [{ name: "sso", issuer: "https://sso.example.org" }] }],
    ["the audience account", { issuers: [{ ...issuer, audience: ["fluo-kms", "account"] }] }],
    ["HS256", { issuers: [{ ...issuer, algorithms: ["HS256"] }] }],
    ["no algorithm", { issuers: [{ ...issuer, algorithms: [] }] }],
    ["an issuer by ftp", { issuers: [{ ...issuer, issuer: "ftp://sso.example.org" }] }],
    ["two places of keys", { issuers: [{ ...issuer, jwks: "https://a/b", "jwks-file": "/k" }] }],
    ["a bundle of an issuer", { issuers: [{ ...issuer, "bundle-file": "/k" }] }],
    ["a trust domain without a bundle", { issuers: [{ ...spire, "bundle-file": undefined }] }],
    ["a duration without its unit", { issuers: [{ ...issuer, "max-lifetime": "90" }] }],
    ["no who", { rules: [{ ...rule, who: undefined }] }],
    ["two whos", { rules: [{ ...rule, who: { token: "a", spiffe: "spiffe://example.org/a" } }] }],
    ["a role that is none", { rules: [{ ...rule, roles: ["admin"] }] }],
    ["no roles", { rules: [{ ...rule, roles: undefined }] }],
    ["an issuer alone", jwt({})],
    ["no claims", jwt({ claims: {} })],
    ["a claim that users change", jwt({ claims: { email: "a@b" } })],
    ["the same by a pointer", jwt({ claims: { "/user_metadata/x": "a" } })],
    ["a list as a claim's value", jwt({ claims: { groups: ["a"] } })],
    ["a SPIFFE id without a path", { rules: [{ ...rule, who: { spiffe: "spiffe://example.org" } }] }],
    ["a DNS name in capitals", { rules: [{ ...rule, who: { dns: { certificates: "web", name: "A.local" } } }] }],
    ["no tenants", tenants([])],
    ["a tenant in capitals", tenants("ACME")],
    ["a prefix that ends in a word", tenants(["acme*"])],
    ["a claim without its name", byClaim({ within: ["acme"] })],
    ["a claim within all", byClaim({ claim: "kms_tenants", within: ["*"] })],
    ["tenants by a claim that users change", byClaim({ claim: "nickname" })],
    ["a limit of 0", { rules: [{ ...rule, limit: 0 }] }],
  ])("refuses, as the reader does, %s", (_, change) => {
    expect(both(change)).toEqual([false, false]);
  });

  it.each<[string, object]>([
    ["a token that is not there", { rules: [{ ...rule, who: { token: "b" } }] }],
    ["one name twice", { rules: [rule, rule] }],
    ["roles that separation keeps apart", { rules: [{ ...rule, roles: ["decrypt", "destroy"] }] }],
    ["a lifetime past its bound", { issuers: [{ ...issuer, "clock-tolerance": "61s" }] }],
    ["{tenant} that nothing captures", tenants("{tenant}")],
  ])("leaves to policy check %s", (_, change) => {
    expect(both(change)).toEqual([false, true]);
  });

  it("takes whatever the reader takes, of 500 random policies", () => {
    const random = generator(7);
    for (let n = 0; n < 500; n += 1) {
      const policy = randomPolicy(random);
      const { problems } = readPolicy(JSON.stringify(policy));
      expect([problems, isValid(schema, policy)], JSON.stringify(policy)).toEqual([[], true]);
    }
  });
});
