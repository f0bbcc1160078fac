/** What `transcripts/token-new.md` cannot show: that the lines for the policy are of the token, and the rights of its file. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readPolicy } from "../../../src/auth/policy/policy.ts";
import { sha256Of } from "../../../src/auth/token/static-token.ts";
import { run } from "../../support/cli-fixture.ts";
import { directory } from "../../support/config-fixture.ts";

/** The tokens of a policy of these lines and a rule. */
function tokensOf(lines: string) {
  const rule = "rules: [{ name: r, who: { spiffe: spiffe://a/b }, roles: [sign], tenants: acme }]";
  const certificates = "certificates: [{ name: a, trust-domain: a, ca: /a }]";
  const { policy, problems } = readPolicy(`version: 1\n${certificates}\n${rule}\n${lines}`);
  expect(problems).toEqual([]);
  return policy!.tokens;
}

it("is another each time, printed alone, and its lines are of it", async () => {
  const ended = await run(["token", "new", "--name", "prometheus", "--expires", "2099-06-30"]);
  const endless = await run(["token", "new"]);
  for (const { out } of [ended, endless]) expect(out).toMatch(/^fkt_[A-Za-z0-9_-]{43}\n$/);
  const expires = new Date("2099-06-30");
  expect(tokensOf(ended.err)).toMatchObject([{ name: "prometheus", sha256: sha256Of(ended.out.trim()), expires }]);
  expect(tokensOf(endless.err)).toMatchObject([{ name: "app", expires: undefined }]);
  expect(endless.out).not.toBe(ended.out);
  const json = JSON.parse((await run(["token", "new", "--json"])).out);
  expect(json.sha256).toBe(sha256Of(json.token));
});

it("goes into a file that its owner alone can read, whatever the umask", async () => {
  const file = join(directory(), "app.token");
  const former = process.umask(0);
  const { out } = await run(["token", "new", "--out", file]).finally(() => process.umask(former));
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const token = readFileSync(file, "utf8");
  expect(token).toMatch(/^fkt_[A-Za-z0-9_-]{43}\n$/);
  expect(out).not.toContain("fkt_");
  expect(tokensOf(out)).toMatchObject([{ sha256: sha256Of(token.trim()) }]);
});
