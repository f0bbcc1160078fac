import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
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

it("prints the token alone on standard output, and the lines for the policy beside it", async () => {
  const { code, out, err } = await run(["token", "new", "--name", "prometheus", "--expires", "2099-06-30"]);
  expect(code).toBe(0);
  expect(out).toMatch(/^fkt_[A-Za-z0-9_-]{43}\n$/);
  const sha256 = sha256Of(out.trim());
  expect(err).toBe(`# The token is shown this once. For the policy:
tokens:
  - name: prometheus
    sha256: ${sha256}
    expires: 2099-06-30
`);
  expect(tokensOf(err)).toMatchObject([{ name: "prometheus", sha256, expires: new Date("2099-06-30") }]);
});

it("is called app and never ends, unless it is told otherwise, and is another each time", async () => {
  const [one, other] = [await run(["token", "new"]), await run(["token", "new"])];
  expect(tokensOf(one.err)).toMatchObject([{ name: "app", expires: undefined }]);
  expect(one.out).not.toBe(other.out);
});

it("goes into a file that its owner alone can read, whatever the umask, and is not printed", async () => {
  const file = join(directory(), "app.token");
  const former = process.umask(0);
  const { code, out, err } = await run(["token", "new", "--out", file]).finally(() => process.umask(former));
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const token = readFileSync(file, "utf8");
  expect(token).toMatch(/^fkt_[A-Za-z0-9_-]{43}\n$/);
  expect(out).toContain(`# ${file} has the token. For the policy:\n`);
  expect(out).not.toContain("fkt_");
  expect(tokensOf(out)).toMatchObject([{ sha256: sha256Of(token.trim()) }]);
});

it("prints JSON, with the token unless it is in a file", async () => {
  const here = JSON.parse((await run(["token", "new", "--json", "--expires", "2099-06-30T12:00:00Z"])).out);
  const { token } = here;
  expect(here).toEqual({ name: "app", sha256: sha256Of(token), expires: "2099-06-30T12:00:00Z", token });
  const out = join(directory(), "app.token");
  const there = await run(["token", "new", "--json", "--out", out]);
  expect(JSON.parse(there.out)).toMatchObject({ name: "app", expires: null, out });
  expect(there.out).not.toContain("fkt_");
});

describe("is refused", () => {
  it("for a file that exists, which stays as it was", async () => {
    const folder = directory({ "app.token": "mine" });
    const { code, out, err } = await run(["token", "new", "--out", join(folder, "app.token")]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain("exists already");
    expect(readFileSync(join(folder, "app.token"), "utf8")).toBe("mine");
  });

  it.each([
    [["--name", "App"], "token App: a name matches ^[a-z][a-z0-9-]{0,31}$"],
    [["--name", ""], "name must be text"],
    [["--expires", "tomorrow"], "token app: expires must be a date such as 2027-06-30"],
    [["--expires", "2027-02-30"], "expires must be a date"],
    [["--expires", "2020-01-01"], "--expires 2020-01-01 is past"],
    [["--out", "/nowhere/a"], "the directory of /nowhere/a does not exist"],
  ])("for %j", async (args, text) => {
    const { code, out, err } = await run(["token", "new", ...args]);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(text);
  });
});
