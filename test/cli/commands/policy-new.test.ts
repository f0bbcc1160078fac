import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import schema from "../../../docs/policies/policy.schema.json" with { type: "json" };
import { readPolicy } from "../../../src/auth/policy/policy.ts";
import { sha256Of } from "../../../src/auth/token/static-token.ts";
import { run } from "../../support/cli-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { msFromNow } from "../../support/from-now.ts";
import { isValid } from "../../support/json-schema.ts";

const kinds = ["local", "kubernetes", "spiffe", "oidc"];

const policyIn = (file: string) => {
  const read = readPolicy(readFileSync(file, "utf8"));
  expect(read).toMatchObject({ problems: [], warnings: [] });
  return read.policy!;
};

it("writes policy/policy.yaml, prints the administrator's token alone on standard output, and the next steps beside it", async () => {
  const cwd = directory();
  const { code, out, err } = await run(["policy", "new"], { cwd });
  expect(code).toBe(0);
  expect(out).toMatch(/^fkt_[A-Za-z0-9_-]{43}\n$/);
  const { tokens, rules } = policyIn(join(cwd, "policy", "policy.yaml"));
  expect(readdirSync(join(cwd, "policy"))).toEqual(["policy.yaml"]);
  const [token] = tokens;
  expect(token!.sha256).toBe(sha256Of(out.trim()));
  expect(readFileSync(join(cwd, "policy", "policy.yaml"), "utf8")).not.toContain("fkt_");
  const days = (token!.expires!.getTime() - msFromNow(0)) / 86_400_000;
  expect([days > 363, days <= 365]).toEqual([true, true]);
  expect([...rules[0]!.roles]).toEqual(["status", "metrics", "operate", "audit", "key-admin"]);
  const ends = token!.expires!.toISOString().slice(0, 10);
  expect(err).toBe(`policy/policy.yaml is written. Next:
  1. keep the token in a file that you alone can read; it is not shown again, and ends on ${ends}
  2. set in application.properties:
     fluo.kms.auth=policy
     fluo.kms.policy.file=${join(cwd, "policy", "policy.yaml")}
  3. be the administrator on the command line:
     export FLUO_KMS_TOKEN_FILE=admin.token
`);
});

it("is what the next step takes: policy check passes, and policy explain lets the administrator rotate", async () => {
  const file = join(directory(), "policy.yaml");
  await run(["policy", "new", "--out", file]);
  expect(await run(["policy", "check", file])).toMatchObject({
    code: 0,
    out: expect.stringContaining("no warnings"),
  });
  const asked = ["--as", "token:admin", "--rpc", "Rotate"];
  expect((await run(["policy", "explain", file, ...asked])).out).toMatch(/allowed by admin \(line 9\)\n$/);
});

describe.each(kinds)("for %s", (kind) => {
  it("writes a policy without problems or warnings, right for editors, whose pattern of a rule can be taken in", async () => {
    const file = join(directory(), "new.yaml");
    const { code } = await run(["policy", "new", "--for", kind, "--out", file]);
    expect(code).toBe(0);
    const text = readFileSync(file, "utf8");
    expect(isValid(schema, parse(text))).toBe(true);
    const { rules } = policyIn(file);
    expect(rules.map(({ name, tenants }) => [name, tenants.all])).toEqual([["admin", true]]);
    const token =
      kind === "local" ? `  - { name: app, sha256: "${"a".repeat(64)}", expires: 2027-06-30 }\nrules:` : "rules:";
    const more = text.replace(/^#(?= {2,})/gm, "").replace("rules:", token);
    const { policy, problems } = readPolicy(more);
    expect(problems).toEqual([]);
    expect(policy!.rules.map(({ name }) => name)).toEqual(["admin", "app"]);
  });

  it("is readable for others and writable for its owner, as far as the umask lets it", async () => {
    const file = join(directory(), "new.yaml");
    const former = process.umask(0);
    await run(["policy", "new", "--for", kind, "--out", file]).finally(() => process.umask(former));
    expect(statSync(file).mode & 0o777).toBe(0o644);
  });
});

it.each([
  ["kubernetes", "kubectl -n fluo-kms create token admin --audience fluo-kms > admin.token"],
  ["spiffe", "export FLUO_KMS_CLIENT_CERT=svid.pem FLUO_KMS_CLIENT_KEY=svid_key.pem"],
  ["oidc", "export FLUO_KMS_TOKEN_FILE=admin.token"],
])("for %s it names the lines to change, and prints no token", async (kind, credential) => {
  const file = join(directory(), "new.yaml");
  const { out, err } = await run(["policy", "new", "--for", kind, "--out", file]);
  expect(err).toBe("");
  expect(out).not.toContain("fkt_");
  expect(out).toContain(credential);
  const [, few, last] = /change lines ([\d, ]+) and (\d+), marked yours/.exec(out)!;
  const lines = readFileSync(file, "utf8").split("\n");
  const marked = lines.flatMap((line, at) => (line.includes("# yours") ? [String(at + 1)] : []));
  expect([...few!.split(", "), last]).toEqual(marked);
  expect(out.includes("fluo.kms.tls.certificate")).toBe(kind === "spiffe");
});

it("prints JSON, with the token where there is one", async () => {
  const file = join(directory(), "new.yaml");
  const local = JSON.parse((await run(["policy", "new", "--json", "--out", file])).out);
  const settings = { "fluo.kms.auth": "policy", "fluo.kms.policy.file": file };
  expect(local).toMatchObject({
    file,
    for: "local",
    lines_to_change: [],
    settings,
    token: expect.stringMatching(/^fkt_/),
  });
  expect(policyIn(file).tokens[0]!.sha256).toBe(sha256Of(local.token));
  const spiffe = JSON.parse((await run(["policy", "new", "--json", "--for", "spiffe", "--out", `${file}2`])).out);
  expect(spiffe).toMatchObject({ for: "spiffe", lines_to_change: [6, 7, 10] });
  expect(spiffe.token).toBeUndefined();
});

describe("is refused", () => {
  it("for a file that exists, which stays as it was, and makes no token", async () => {
    const cwd = directory();
    mkdirSync(join(cwd, "policy"));
    writeFileSync(join(cwd, "policy", "policy.yaml"), "mine");
    const { code, out, err } = await run(["policy", "new"], { cwd });
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain("policy/policy.yaml exists already; name another file");
    expect(readFileSync(join(cwd, "policy", "policy.yaml"), "utf8")).toBe("mine");
    expect(readdirSync(join(cwd, "policy"))).toEqual(["policy.yaml"]);
  });

  it("for a folder that cannot be made", async () => {
    const { code, out, err } = await run(["policy", "new"], { cwd: directory({ policy: "a file" }) });
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("policy/policy.yaml cannot be written (EEXIST)");
  });

  it("for a place that cannot be written, and prints no token", async () => {
    const { code, out, err } = await run(["policy", "new", "--out", join(directory(), "p".repeat(300))]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("cannot be written (ENAMETOOLONG)");
  });

  it.each([
    [["--for", "kuberntes"], "--for is local, kubernetes, spiffe, oidc; did you mean kubernetes?"],
    [["--for", "toString"], "--for is local, kubernetes, spiffe, oidc"],
    [["--out", "/nowhere/policy.yaml"], "the directory of /nowhere/policy.yaml does not exist"],
    [["policy.yaml"], "policy new does not take the argument policy.yaml"],
  ])("for %j", async (args, text) => {
    const { code, out, err } = await run(["policy", "new", ...args]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(text);
  });
});
