/** What `transcripts/policy-new.md` cannot show: the token's hash and end, rights, and what the policies are worth to a reader and an editor. */
import { readFileSync, statSync } from "node:fs";
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

const policyIn = (file: string) => {
  const read = readPolicy(readFileSync(file, "utf8"));
  expect(read).toMatchObject({ problems: [], warnings: [] });
  return read.policy!;
};

it("holds the token's hash, and no token, for a year, under the file's whole path", async () => {
  const cwd = directory();
  const { code, out, err } = await run(["policy", "new"], { cwd });
  expect(code).toBe(0);
  expect(out).toMatch(/^fkt_[A-Za-z0-9_-]{43}\n$/);
  const file = join(cwd, "policy", "policy.yaml");
  const { tokens } = policyIn(file);
  expect(tokens[0]!.sha256).toBe(sha256Of(out.trim()));
  expect(readFileSync(file, "utf8")).not.toContain("fkt_");
  const days = (tokens[0]!.expires!.getTime() - msFromNow(0)) / 86_400_000;
  expect([days > 363, days <= 365]).toEqual([true, true]);
  expect(err).toContain(`ends on ${tokens[0]!.expires!.toISOString().slice(0, 10)}\n`);
  expect(err).toContain(`fluo.kms.policy.file=${file}\n`);
  const json = JSON.parse((await run(["policy", "new", "--json", "--out", `${file}2`])).out);
  expect(policyIn(`${file}2`).tokens[0]!.sha256).toBe(sha256Of(json.token));
});

describe.each(["local", "kubernetes", "spiffe", "oidc"])("for %s", (kind) => {
  it("is right for editors, names the lines to change, and its pattern of a rule can be taken in", async () => {
    const file = join(directory(), "new.yaml");
    const former = process.umask(0);
    const { code, out } = await run(["policy", "new", "--for", kind, "--out", file]).finally(() =>
      process.umask(former),
    );
    expect(code).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o644);
    const text = readFileSync(file, "utf8");
    expect(isValid(schema, parse(text))).toBe(true);
    const marked = text.split("\n").flatMap((line, at) => (line.includes("# yours") ? [at + 1] : []));
    expect(/change lines ([\d, and]+), marked/.exec(out)?.[1]?.match(/\d+/g)?.map(Number) ?? []).toEqual(marked);
    const { rules } = policyIn(file);
    expect(rules.map(({ name, tenants }) => [name, tenants.all])).toEqual([["admin", true]]);
    const token =
      kind === "local" ? `  - { name: app, sha256: "${"a".repeat(64)}", expires: 2027-06-30 }\nrules:` : "rules:";
    const { policy, problems } = readPolicy(text.replace(/^#(?= {2,})/gm, "").replace("rules:", token));
    expect(problems).toEqual([]);
    expect(policy!.rules.map(({ name }) => name)).toEqual(["admin", "app"]);
  });
});
