import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../support/cli-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { policyText } from "../../support/sample-policy.ts";

const oneOfEach = `cases:
  - name: ingest signs
    as: spiffe://example.org/ingest
    rpc: SignSpan
    expect: allowed
    rule: ingest
  - { as: "dns:web:a.acme.local,b.other.local", rpc: [EncryptPii], tenant: acme, expect: allowed }
  - name: support reads what its claim names
    as: jwt:sso:u:ann
    claims: { level: 7, /realm/roles: [user, support], kms_tenants: [acme, globex-eu] }
    rpc: DecryptPii
    tenant: [acme, globex-eu]
    expect: allowed
  - { as: jwt:sso:u:ann, rpc: [DecryptPii, SignSpan], tenant: [acme, beta], expect: denied }
  - { as: "jwt:spire:spiffe://example.org/ingest", rpc: encryptpii, tenant: acme, expect: allowed }
  - { as: token:app, role: [metrics, break-glass], expect: denied }
  - { as: token:admin, rpc: Validate, tenant: acme, expect: allowed, rule: admin }
  - { as: token:admin, rpc: ScheduleKeyDestruction, tenant: acme, expect: denied }
`;

/** Runs `policy test policy.yaml cases.yaml` in a folder with both. */
function decide(cases: string | Uint8Array, { policy = policyText, options = [] as string[] } = {}) {
  const cwd = directory({ "policy.yaml": policy, "cases.yaml": cases });
  return run(["policy", "test", "policy.yaml", "cases.yaml", ...options], { cwd });
}

it("passes where the policy decides as expected, without the files that it names", async () => {
  expect(await decide(oneOfEach)).toEqual({ code: 0, out: "13 passed, 0 failed\n", err: "" });
});

it("tells of each decision that is another: its line, what was expected, what is decided, and why", async () => {
  const { code, out, err } = await decide(`cases:
  - name: support signs
    as: jwt:sso:u:ann
    claims: { level: "7", /realm/roles: support }
    rpc: SignSpan
    tenant: acme
    expect: allowed
  - { as: spiffe://example.org/ingest, rpc: [SignSpan, EncryptPii, DecryptPii], expect: denied }
  - { as: token:admin, role: decrypt, tenant: [acme, beta], expect: allowed, rule: eraser }
  - { as: token:admin, rpc: ScheduleKeyDestruction, tenant: acme, expect: allowed }
  - { as: token:admin, rpc: RewrapKeys, tenant: acme, expect: denied }
`);
  expect({ code, err }).toEqual({ code: 1, err: "" });
  expect(
    out,
  ).toBe(`failed  line 2   support signs: SignSpan for acme: expected allowed, is denied: no rule gives sign for acme
failed  line 8   spiffe://example.org/ingest: SignSpan for all tenants: expected denied, is allowed by ingest (line 13)
failed  line 8   spiffe://example.org/ingest: EncryptPii for all tenants: expected denied, is allowed by ingest (line 13)
failed  line 9   token:admin: decrypt for acme: expected allowed by eraser, is allowed by reader (line 25)
failed  line 9   token:admin: decrypt for beta: expected allowed by eraser, is allowed by reader (line 25)
failed  line 10  token:admin: ScheduleKeyDestruction for acme: expected allowed, is denied: eraser gives destroy and reader gives decrypt for acme, which separation keeps apart
failed  line 11  token:admin: RewrapKeys for all tenants: expected denied, is allowed by admin (line 23)
1 passed, 7 failed
`);
});

it("notes that the service would refuse a credential, which is no failure", async () => {
  const cases = `cases:
  - { as: token:admin, rpc: [Validate, Rotate], expect: allowed }
  - { as: "jwt:sso:u:ann", claims: { aud: other }, rpc: Validate, expect: denied }
`;
  const policy = policyText.replace("2027-06-30", "2020-06-30");
  expect(await decide(cases, { policy })).toEqual({
    code: 0,
    out: `note  line 2  token:admin: token admin expired at 2020-06-30T00:00:00.000Z: the service refuses it
note  line 3  jwt:sso:u:ann: aud has not fluo-kms or kms, which issuer sso wants: the service refuses such a token
3 passed, 0 failed
`,
    err: "",
  });
});

it("has a certificate give nothing if a rule demands a token beside it", async () => {
  const policy = `${policyText}  - { name: gate, who: { spiffe: "spiffe://example.org/*" }, token: required }\n`;
  const { code, out } = await decide(oneOfEach, { policy });
  expect(code).toBe(1);
  expect(out).toContain(`is denied: gate demands a token beside this certificate\n`);
  expect(out).toMatch(/^12 passed, 1 failed$/m);
});

it("prints the same as JSON, with the cases that passed, and no claim", async () => {
  const cases = `cases:
  - { name: n, as: token:admin, rpc: rotate, expect: allowed, rule: admin }
  - { as: jwt:sso:canary-sub, claims: { kms_tenants: canary }, role: decrypt, tenant: acme, expect: allowed }
`;
  const { code, out, err } = await decide(cases, { options: ["--json"] });
  expect({ code, err }).toEqual({ code: 1, err: "" });
  expect(out).not.toContain('"canary"');
  expect(JSON.parse(out)).toEqual({
    policy: "policy.yaml",
    cases: "cases.yaml",
    ok: false,
    passed: 1,
    failed: 1,
    results: [
      {
        line: 2,
        name: "n",
        passed: true,
        caller: "token:admin",
        notes: [],
        rpc: "Rotate",
        role: "operate",
        tenant: null,
        expected: { allowed: true, rule: "admin" },
        decision: { allowed: true, rule: "admin", line: 23 },
      },
      {
        line: 3,
        passed: false,
        caller: "jwt:sso:canary-sub",
        notes: [],
        role: "decrypt",
        tenant: "acme",
        expected: { allowed: true },
        decision: { allowed: false, apart: false, why: "no rule names this caller" },
      },
    ],
  });
});

it("takes JSON, which is YAML", async () => {
  const cases = { cases: [{ as: "token:app", rpc: "SignSpan", tenant: "acme", expect: "denied" }] };
  expect(await decide(JSON.stringify(cases, undefined, 2))).toEqual({ code: 0, out: "1 passed, 0 failed\n", err: "" });
});

describe("a file of cases that has problems decides nothing, and names them with their lines", () => {
  const good = { as: "token:app", rpc: "SignSpan", tenant: "acme", expect: "denied" };
  /** The case that is right, with other members. */
  const withMembers = (members: object) => `cases:\n  - ${JSON.stringify({ ...good, ...members })}\n`;

  it.each<[string, string]>([
    ["1: is empty", ""],
    ["1: the file must be a mapping, as in { cases: … }", "- as: token:app\n"],
    ["1: the file: needs cases, a list", "cases: []\n"],
    ["1: the file has no case; known: cases; did you mean cases?", "case: []\n"],
    ["2: a case must be a mapping", "cases:\n  - token:app\n"],
    ["3: a tab: use spaces", "cases:\n  - as: token:app\n\trpc: SignSpan\n"],
    ["2: a second expect: a key stands once", "cases:\n  - { as: a, expect: denied, expect: allowed }\n"],
    ["2: a case has no expects; known: ", withMembers({ expects: "denied" })],
    ["did you mean expect?", withMembers({ expects: "denied" })],
    ["2: a case needs as", withMembers({ as: undefined })],
    ["2: a case needs expect", withMembers({ expect: undefined })],
    ["2: a case: needs rpc or role, one of the two", withMembers({ rpc: undefined })],
    ["2: case n: needs rpc or role, one of the two", withMembers({ name: "n", role: "sign" })],
    ["2: a case: expect must be allowed or denied", withMembers({ expect: "deny" })],
    ["2: a case: no rpc is called SingSpan; did you mean SignSpan?", withMembers({ rpc: ["SingSpan"] })],
    ["2: a case: no role encyrpt; there are sign, ", withMembers({ rpc: undefined, role: "encyrpt" })],
    ["did you mean encrypt?", withMembers({ rpc: undefined, role: "encyrpt" })],
    [
      "2: a case: EncryptPii is an rpc, which the role encrypt allows",
      withMembers({ rpc: undefined, role: "EncryptPii" }),
    ],
    ["2: a case: tenant must match ^[a-z0-9]", withMembers({ tenant: ["acme", "ACME"] })],
    ["2: a case: tenant must match ^[a-z0-9]", withMembers({ tenant: "*" })],
    ["2: a case: tenant names none", withMembers({ tenant: [] })],
    ["2: a case: asks for more than 10,000 decisions", withMembers({ tenant: Array(10_001).fill("acme") })],
    ["2: a case: rpc names none", withMembers({ rpc: [] })],
    ["2: a case: the policy's tokens have no entry ap; did you mean app?", withMembers({ as: "token:ap" })],
    ["2: a case: a caller is spiffe://…, dns:", withMembers({ as: "app" })],
    ["2: a case: claims are given to a caller jwt:ISSUER:SUBJECT", withMembers({ claims: { level: "7" } })],
    ["2: a case: claims must be a mapping", withMembers({ as: "jwt:sso:a", claims: ["level"] })],
    ["2: a case: claim realm must be text", withMembers({ as: "jwt:sso:a", claims: { realm: { roles: "a" } } })],
    ["2: a case: the claims need sub, a text of 1 to 512", withMembers({ as: `jwt:sso:${"a".repeat(513)}` })],
    [
      "2: a case: no entry of rules is called ingset; there are ingest, ",
      withMembers({ expect: "allowed", rule: "ingset" }),
    ],
    ["2: a case: no rule denies: rule stands beside expect: allowed", withMembers({ rule: "ingest" })],
  ])("%s", async (text, cases) => {
    const { code, out, err } = await decide(cases);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain(text);
  });

  it("all at once, and as JSON", async () => {
    const cases = `cases:
  - { as: token:ap, rpc: SignSpan, expect: allowed }
  - as: token:app
    rpc: SingSpan
    tenant: [acme, beta]
    expect: allowed
`;
    const { code, out, err } = await decide(cases);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toBe(`fluo-kms: cases.yaml:2: a case: the policy's tokens have no entry ap; did you mean app?
fluo-kms: cases.yaml:4: a case: no rpc is called SingSpan; did you mean SignSpan?
`);
    const json = JSON.parse((await decide(cases, { options: ["--json"] })).out);
    expect(json).toMatchObject({ code: "FAILED", message: "cases.yaml has 2 problems" });
    expect(json.fields.map(({ field }: { field: string }) => field)).toEqual(["cases.yaml:2", "cases.yaml:4"]);
  });

  it("also one that is not UTF-8", async () => {
    expect((await decide(new Uint8Array([0x63, 0xff]))).err).toBe("fluo-kms: cases.yaml:1: is not UTF-8\n");
  });
});

it("fails for a policy that has problems", async () => {
  const { code, out, err } = await decide(oneOfEach, { policy: "version: 2\nrules: {}\n" });
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err).toContain("policy.yaml:1: version: 1 is the one there is\n");
});

it.each(["policy.yaml", "cases.yaml"])("is wrong usage without %s", async (name) => {
  const cwd = directory({ "policy.yaml": policyText, "cases.yaml": oneOfEach });
  rmSync(join(cwd, name));
  const { code, out, err } = await run(["policy", "test", "policy.yaml", "cases.yaml"], { cwd });
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toContain(`${name} cannot be read (ENOENT)`);
});
