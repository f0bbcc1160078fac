import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { roles } from "../../../src/call/roles.ts";
import { run } from "../../support/cli-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { newAuthority } from "../../support/pki.ts";
import { namedFiles, policyText } from "../../support/sample-policy.ts";

const withCrl = `version: 1
certificates: [{ name: web, dns: [.local], ca: web.pem, crl: web.crl }]
rules:
  - { name: r, who: { dns: { certificates: web, name: a.local } }, roles: [operate, key-admin], tenants: "*" }
`;
const fileOf = (text: string | Uint8Array) => join(directory({ "policy.yaml": text }), "policy.yaml");
const check = (file: string, ...options: string[]) => run(["policy", "check", ...options, file]);

it("prints warnings, then rules, then who gives what, then callers of several rules", async () => {
  const cwd = directory({ ...namedFiles, "policy.yaml": policyText });
  const { code, out, err } = await run(["policy", "check", "policy.yaml"], { cwd });
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toBe(`warning  line 7   issuer sso: ca and token-file are of no use with a file of keys
warning  line 11  token app never expires
warning  line 24  rule eraser gives destroy, and rule reader (line 25) decrypt, for acme: their callers are the same, and are refused destroy

rule     line  roles               tenants                              who
ingest   13    sign, encrypt       every tenant                         spiffe://example.org/ingest
site     14    encrypt             {tenant} of acme, globex-*           dns:web:*.{tenant}.local
support  18    decrypt             claim kms_tenants of acme, globex-*  jwt:sso:u:* with /realm/roles = support, level = 7
admin    23    operate, key-admin  every tenant                         token:admin
eraser   24    destroy             acme                                 token:admin
reader   25    decrypt             acme, beta                           token:admin

role       rules  given by
sign       1      ingest
encrypt    2      ingest, site
decrypt    2      support, reader
operate    1      admin
key-admin  1      admin
destroy    1      eraser
nobody may verify, re-encrypt, generate-data-key, decrypt-data-key, status, metrics, audit, mark-compromised, break-glass

caller of several rules  rules  holds
token:admin              3      decrypt, operate, key-admin, destroy; for a tenant in common, who may decrypt may not destroy

policy.yaml: no problems, 3 warnings, separation on, destruction by one person
`);
});

it("prints the same as JSON, with rules as the policy writes them", async () => {
  const { code, out } = await check(fileOf(policyText), "--no-files", "--json");
  const answer = JSON.parse(out);
  expect(code).toBe(0);
  expect(answer).toMatchObject({ ok: true, problems: [], separation: "on", destruction: "one-person" });
  expect(answer.warnings).toEqual([
    { line: 7, text: "issuer sso: ca and token-file are of no use with a file of keys" },
    { line: 11, text: "token app never expires" },
    {
      line: 24,
      text: "rule eraser gives destroy, and rule reader (line 25) decrypt, for acme: their callers are the same, and are refused destroy",
    },
  ]);
  expect(answer.rules.map((rule: { who: object }) => rule.who)).toEqual([
    { spiffe: "spiffe://example.org/ingest" },
    { dns: { certificates: "web", name: "*.{tenant}.local" } },
    { jwt: { issuer: "sso", subject: "u:*", claims: { "/realm/roles": "support", level: "7" } } },
    { token: "admin" },
    { token: "admin" },
    { token: "admin" },
  ]);
  expect(answer.rules.map((rule: { tenants: object }) => rule.tenants)).toEqual([
    ["*"],
    { captured: ["acme", "globex-*"] },
    { claim: "kms_tenants", within: ["acme", "globex-*"] },
    ["*"],
    ["acme"],
    ["acme", "beta"],
  ]);
  expect(answer.rules[0]).toEqual({ ...answer.rules[0], name: "ingest", line: 13, roles: ["sign", "encrypt"] });
  expect(answer.rules[0].limit).toBeUndefined();
  expect(answer.rules[2].limit).toBe(50);
  expect(Object.keys(answer.roles)).toEqual([...roles]);
  expect(answer.roles).toMatchObject({ decrypt: ["support", "reader"], verify: [] });
  expect(answer.callers.at(-1)).toEqual({
    who: "token:admin",
    rules: ["admin", "eraser", "reader"],
    roles: ["decrypt", "operate", "key-admin", "destroy"],
    apart: "who may decrypt may not destroy",
  });
  expect(answer.callers[0].apart).toBeUndefined();
});

it("says what separation: off and destruction: two-person change", async () => {
  const text = `${policyText}separation: off\ndestruction: two-person\n`;
  const { out } = await check(fileOf(text), "--no-files");
  expect(out).toContain("no problems, 4 warnings, separation off, destruction by two persons\n");
  expect(out).not.toContain("may not destroy");
  const answer = JSON.parse((await check(fileOf(text), "--no-files", "--json")).out);
  expect(answer).toMatchObject({ separation: "off", destruction: "two-person" });
  expect(answer.callers.at(-1).apart).toBeUndefined();
});

it("writes tenants of every form", async () => {
  const tenants = ['"*"', "acme", "[acme, b-*]", '"{tenant}"', '["{tenant}", acme]', "{ claim: t }"];
  const rules = tenants.map((text, at) => {
    const subject = text.includes("{tenant}") ? '"{tenant}"' : "ann";
    return `  - { name: r${at}, who: { jwt: { issuer: sso, subject: ${subject} } }, roles: [sign], tenants: ${text} }\n`;
  });
  const issuer = "issuers: [{ name: sso, issuer: https://sso.example.org, audience: fluo-kms }]";
  const file = fileOf(`version: 1\n${issuer}\nrules:\n${rules.join("")}`);
  const { out } = await check(file);
  const shown = [...out.matchAll(/^r\d +\d+ +sign +(.*?) {2,}jwt:sso:(?:ann|\{tenant\})$/gm)].map(([, text]) => text);
  expect(shown).toEqual(["every tenant", "acme", "acme, b-*", "{tenant}", "acme, {tenant}", "claim t"]);
  const json = JSON.parse((await check(file, "--json")).out).rules.map((rule: { tenants: unknown }) => rule.tenants);
  expect(json).toEqual([["*"], ["acme"], ["acme", "b-*"], ["{tenant}"], ["acme", "{tenant}"], { claim: "t" }]);
});

describe("fails", () => {
  it("with every problem and its line, and with the warnings", async () => {
    const file = fileOf(`version: 1
tokens:
  - { name: app, sha256: abc }
rules:
  - { name: r, who: { token: ap }, roles: [encyrpt], tenants: "*" }
`);
    const { code, out, err } = await check(file);
    expect({ code, err }).toEqual({ code: 1, err: "" });
    const lines = out.split("\n");
    expect(lines[0]).toMatch(/^problem {2}line 3 {2}token app: sha256 must be/);
    expect(out).toMatch(
      /^problem {2}line 5 {2}rule r: who: no entry of tokens is called ap; there are app; did you mean app\?$/m,
    );
    expect(out).toMatch(/^problem {2}line 5 {2}rule r: no role encyrpt; .*; did you mean encrypt\?$/m);
    expect(out).toMatch(/^warning {2}line 3 {2}token app never expires$/m);
    expect(lines.at(-2)).toBe(`${file}: 3 problems, 3 warnings`);
    expect(out).not.toContain("given by");
    const json = JSON.parse((await check(file, "--json")).out);
    expect(json).toMatchObject({ file, ok: false, problems: [{ line: 3 }, { line: 5 }, { line: 5 }] });
    expect(json.rules).toBeUndefined();
  });

  it.each([
    ["is not UTF-8", new Uint8Array([0x76, 0xff])],
    ["is empty", ""],
    ["a tab: use spaces", "version: 1\n\trules: []"],
  ])("for a file that %s", async (text, bytes) => {
    const { code, out } = await check(fileOf(bytes));
    expect(code).toBe(1);
    expect(out).toContain(text);
  });

  it("for files that the policy names and that cannot be read, each with its entry's line", async () => {
    const cwd = directory({ ...namedFiles, "policy.yaml": policyText });
    for (const name of ["mesh.pem", "web.pem", "sso.pem", "sso.json"]) rmSync(join(cwd, name));
    rmSync(join(cwd, "bundle.json"));
    mkdirSync(join(cwd, "bundle.json"));
    const { code, out } = await run(["policy", "check", "policy.yaml"], { cwd });
    expect(code).toBe(1);
    const gone = "cannot be read (ENOENT); --no-files checks the rest on another machine";
    expect(out.split("\n").slice(0, 5)).toEqual([
      `problem  line 3   certificates mesh: ca ${cwd}/mesh.pem ${gone}`,
      `problem  line 4   certificates web: ca ${cwd}/web.pem ${gone}`,
      `problem  line 7   issuer sso: ca ${cwd}/sso.pem ${gone}`,
      `problem  line 7   issuer sso: jwks-file ${cwd}/sso.json ${gone}`,
      `problem  line 8   issuer spire: bundle-file ${cwd}/bundle.json is no file`,
    ]);
    expect(out).toContain("given by");
    expect(out).toContain("policy.yaml: 5 problems, 3 warnings, separation on");
  });

  it("for files that hold what the service would not start with", async () => {
    const wrong = { "web.pem": newAuthority().issue().certificate, "sso.pem": "", "sso.json": "{}" };
    const shared = { "lan.pem": namedFiles["mesh.pem"], "bundle.json": namedFiles["sso.json"] };
    const cwd = directory({ ...namedFiles, ...wrong, ...shared, "policy.yaml": policyText });
    const { code, out } = await check(join(cwd, "policy.yaml"));
    expect(code).toBe(1);
    const noKey = "has no key that counts: use jwt-svid, RSA of 2048 bits, P-256, Ed25519 or better";
    expect(out.split("\n").slice(0, 5)).toEqual([
      "problem  line 3   certificates mesh: CA certificate 1 has a key of certificates lan too",
      expect.stringMatching(/^problem {2}line 4 {3}certificates web: ca .*web\.pem: CA certificate 1: is not a CA/),
      `problem  line 7   issuer sso: ca ${cwd}/sso.pem: holds no certificate in PEM`,
      `problem  line 7   issuer sso: jwks-file ${cwd}/sso.json: is no key set: there is no array of keys`,
      `problem  line 8   issuer spire: bundle-file ${cwd}/bundle.json: ${noKey}`,
    ]);
  });
});

it("finds files beside the policy, wherever it is called, as the service does", async () => {
  const file = join(directory({ ...namedFiles, "policy.yaml": policyText }), "policy.yaml");
  expect((await run(["policy", "check", file], { cwd: directory() })).code).toBe(0);
});

it("warns of rules by which one caller could have roles that separation keeps apart", async () => {
  const issuer = "issuers: [{ name: sso, issuer: https://sso.example.org, audience: fluo-kms }]";
  const ruleOf = (name: string, role: string, given: string) =>
    `  - { name: ${name}, who: { jwt: { issuer: sso, claims: { role: ${role} } } }, roles: [${given}], tenants: [acme] }\n`;
  const rules = `${ruleOf("support", "support", "decrypt")}${ruleOf("admin", "admin", "destroy, operate, key-admin")}`;
  const cwd = directory({ "policy.yaml": `version: 1\n${issuer}\nrules:\n${rules}` });
  const { code, out, err } = await run(["policy", "check", "policy.yaml"], { cwd });
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out.split("\n")[0]).toBe(
    "warning  line 5  rule admin gives destroy, and rule support (line 4) decrypt, for acme: a token that both match is refused destroy; give them other tenants, bounded if callers name them, or other issuers",
  );
  expect(out).toContain("policy.yaml: no problems, 1 warning, separation on, destruction by one person\n");
});

it("warns of a token that has ended", async () => {
  const file = fileOf(policyText.replace("2027-06-30", "2020-06-30"));
  for (const options of [[], ["--no-files"]]) {
    const { out } = await check(file, ...options);
    expect(out).toContain("warning  line 10  token admin expired at 2020-06-30T00:00:00.000Z\n");
  }
  expect((await check(fileOf(policyText), "--no-files")).out).not.toContain("expired");
});

it.skipIf(process.platform === "win32")("warns of a file that everybody can write", async () => {
  const cwd = directory({ ...namedFiles, "policy.yaml": policyText });
  chmodSync(join(cwd, "sso.json"), 0o666);
  const { code, out } = await check(join(cwd, "policy.yaml"));
  expect(code).toBe(0);
  expect(out).toContain(`warning  line 7   ${cwd}/sso.json can be written by everybody: chmod o-w`);
});

it("asks no issuer: an address is none of its files", async () => {
  const { code, out } = await check(
    fileOf(`version: 1
issuers:
  - { name: a, issuer: https://a.invalid, audience: fluo-kms, jwks: https://a.invalid/keys }
  - { name: b, issuer: https://b.invalid, audience: fluo-kms }
rules:
  - { name: r, who: { jwt: { issuer: a, subject: ann } }, roles: [operate, key-admin], tenants: "*" }
`),
  );
  expect(code).toBe(0);
  expect(out).toContain("no problems, no warnings");
});

it.runIf(process.platform === "linux")("reads each file, not only its name", async () => {
  const { code, out } = await check(fileOf(policyText.replaceAll(/\w+\.(pem|json)/g, "/proc/self/mem")));
  expect(code).toBe(1);
  expect(out).toContain("problem  line 3   certificates mesh: ca /proc/self/mem cannot be read (EIO)");
});

it("reads a revocation list too, which must be current", async () => {
  const ca = newAuthority();
  const cwd = directory({ "web.pem": ca.pem, "web.crl": ca.crl(), "policy.yaml": withCrl });
  expect((await check(join(cwd, "policy.yaml"))).code).toBe(0);
  writeFileSync(join(cwd, "web.crl"), ca.crl([], { thisUpdate: new Date(0), nextUpdate: new Date(1000) }));
  const late = await check(join(cwd, "policy.yaml"));
  expect(late.code).toBe(1);
  expect(late.out).toContain(
    `problem  line 2  certificates web: crl ${cwd}/web.crl: revocation list 1: is out of date since 1970-01-01T00:00:01.000Z`,
  );
  writeFileSync(join(cwd, "web.crl"), newAuthority({ name: "other" }).crl());
  const foreign = await check(join(cwd, "policy.yaml"));
  expect(foreign.code).toBe(1);
  expect(foreign.out).toContain("revocation list 1: no CA certificate of its entry signed it");
  rmSync(join(cwd, "web.crl"));
  const gone = await check(join(cwd, "policy.yaml"));
  expect(gone.code).toBe(1);
  expect(gone.out).toContain(`problem  line 2  certificates web: crl ${cwd}/web.crl cannot be read (ENOENT)`);
});

it("a file that is not there is wrong usage", async () => {
  const { code, out, err } = await check(join(directory(), "none.yaml"));
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toContain("none.yaml cannot be read (ENOENT)");
});

describe("a rule that demands a token", () => {
  const text = policyText
    .replace("trust-domain: example.org, bundle", "trust-domain: svid.example.org, bundle")
    .concat(`  - { name: gate, who: { spiffe: "spiffe://example.org/ingest" }, token: required }
  - { name: edge, who: { dns: { certificates: web, name: "*.local" } }, token: required }
`);

  it("is shown as what it is, with what it leaves of other rules", async () => {
    const { code, out } = await check(fileOf(text), "--no-files");
    expect(code).toBe(0);
    const lines = out.split("\n").map((line) => line.replace(/ {2,}/g, "  "));
    expect(lines).toEqual(
      expect.arrayContaining([
        "warning  line 13  rule ingest gives nothing: rule gate demands a token beside that certificate, which then counts alone",
        "gate  26  none: demands a token  spiffe://example.org/ingest",
        "edge  27  none: demands a token  dns:web:*.local",
        "spiffe://example.org/ingest  2  sign, encrypt; nothing by its certificate: gate demands a token",
      ]),
    );
  });

  it("is the same as JSON, as the policy writes it", async () => {
    const answer = JSON.parse((await check(fileOf(text), "--no-files", "--json")).out);
    expect(answer.rules.at(-1)).toEqual({
      name: "edge",
      line: 27,
      who: { dns: { certificates: "web", name: "*.local" } },
      token: "required",
    });
    expect(answer.callers).toContainEqual({
      who: "spiffe://example.org/ingest",
      rules: ["ingest", "gate"],
      roles: ["sign", "encrypt"],
      token_demanded_by: "gate",
    });
  });
});
