/** What `transcripts/policy-explain.md` cannot show: every rpc in every spelling, and names that are too long. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { roleOf } from "../../../src/call/roles.ts";
import { forAllTenants } from "../../../src/cli/policy/question.ts";
import { run } from "../../support/cli-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { policyText } from "../../support/sample-policy.ts";

function explain(args: readonly string[], claims: object = {}) {
  const cwd = directory({ "policy.yaml": policyText, "claims.json": JSON.stringify(claims) });
  return run(["policy", "explain", "policy.yaml", ...args], { cwd });
}

const byClaims = ["--issuer", "sso", "--claims", "claims.json"];

it.each(Object.keys(roleOf))("%s is known in every spelling", async (name) => {
  const pascal = `${name[0]!.toUpperCase()}${name.slice(1)}`;
  for (const spelling of [name, pascal, name.toLowerCase()]) {
    const { out } = await explain(["--as", "spiffe://example.org/ingest", "--rpc", spelling]);
    expect(out).toContain(`${pascal}, which needs ${roleOf[name as keyof typeof roleOf]} for`);
  }
});

it("asks for a role for all tenants where a handler does", () => {
  const folder = join(import.meta.dirname, "..", "..", "..", "src", "service");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  const sources = files.map((name) => readFileSync(join(folder, name), "utf8"));
  const everyInHandlers = sources.flatMap((text) =>
    [...text.matchAll(/\.every\(roleOf\.(\w+)\)/g)].map(([, rpc]) => rpc!),
  );
  expect([...forAllTenants].sort()).toEqual(everyInHandlers.sort());
});

it("refuses a SPIFFE id and a subject that are too long", async () => {
  const id = await explain(["--as", `spiffe://example.org/${"a".repeat(2048)}`]);
  expect(id).toMatchObject({ code: 2, out: "", err: expect.stringContaining("is no SPIFFE id") });
  const subject = await explain(byClaims, { sub: "a".repeat(513) });
  expect(subject).toMatchObject({ code: 1, out: "", err: expect.stringContaining("the claims need sub") });
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
    const { out, err } = await explain([...byClaims, ...more], claims);
    expect(out).toContain("u:ann");
    expect(out + err).not.toContain("canary");
  }
  const { out } = await explain(byClaims, claims);
  expect(out).toContain("matches: decrypt for 2 tenants that claim kms_tenants names\n");
});
