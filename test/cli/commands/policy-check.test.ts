/** What `policy check` says of the files that a policy names; the rest is in `transcripts/policy-check.md`. */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
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
const check = (file: string) => run(["policy", "check", file]);

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

describe("fails", () => {
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

it.skipIf(process.platform === "win32")("warns of a file that everybody can write", async () => {
  const cwd = directory({ ...namedFiles, "policy.yaml": policyText });
  chmodSync(join(cwd, "sso.json"), 0o666);
  const { code, out } = await check(join(cwd, "policy.yaml"));
  expect(code).toBe(0);
  expect(out).toContain(`warning  line 7   ${cwd}/sso.json can be written by everybody: chmod o-w`);
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
