import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../support/cli-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { policyText } from "../../support/sample-policy.ts";

async function diff(before: string, after: string, ...options: string[]) {
  const folder = directory({ "old.yaml": before, "new.yaml": after });
  const { code, out, err } = await run([
    "policy",
    "diff",
    ...options,
    join(folder, "old.yaml"),
    join(folder, "new.yaml"),
  ]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return out;
}

/** The policy with its text changed here and there. */
function changed(...changes: [from: string, to: string][]): string {
  return changes.reduce((text, [from, to]) => {
    expect(text).toContain(from);
    return text.replaceAll(from, to);
  }, policyText);
}

it("prints rules that come, change and go, and whom the policy trusts", async () => {
  const after = changed(
    ["[encrypt, sign]", "[sign, verify]"],
    ["[acme, beta]", "[beta, acme]"],
    ["{ claim: kms_tenants, within: [acme, globex-*] }", "{ claim: kms_tenants, within: [acme] }"],
    ["limit: 50", "limit: 60"],
    ["  - { name: eraser, who: { token: admin }, roles: [destroy], tenants: [acme] }\n", ""],
    ["audience: [fluo-kms, kms]", "audience: fluo-kms"],
  ).concat('  - { name: audit, who: { token: app }, roles: [audit], tenants: "*" }\nseparation: off\n');
  const cwd = directory({ "old.yaml": policyText, "new.yaml": after });
  expect(await run(["policy", "diff", "old.yaml", "new.yaml"], { cwd })).toEqual({
    code: 0,
    err: "",
    out: `~ rule ingest (line 13) changed
    roles  - encrypt
    roles  + verify

~ rule support (line 18) changed
    tenants  - claim kms_tenants of globex-*
    limit    - 50 calls a second
    limit    + 60 calls a second

+ rule audit (line 25) added
    who      token:app
    roles    audit
    tenants  every tenant

- rule eraser (was line 24) removed
    who      token:admin
    roles    destroy
    tenants  acme

~ issuer sso (line 7) changed
    audience  - kms

~ separation changed: was on, is off

4 changes of rules, 2 changes of trust
`,
  });
});

describe("is no change:", () => {
  const none = "no changes: callers may do the same, and the policy trusts the same\n";

  it("the same file", async () => expect(await diff(policyText, policyText)).toBe(none));

  it("comments, order and spelling", async () => {
    const rules = policyText.slice(policyText.indexOf("rules:\n") + 7);
    const [first, ...others] = rules.split(/^(?= {2}- )/m);
    const turned = policyText.replace(rules, `${others.join("")}${first} # the last now\n`);
    expect(await diff(policyText, turned.replace("[operate, key-admin]", "[ key-admin, operate ]"))).toBe(none);
    expect(await diff(policyText, changed(["tenants: [acme] }", "tenants: acme }"]))).toBe(none);
    expect(await diff(policyText, `${policyText}separation: on\ndestruction: one-person\n`)).toBe(none);
  });
});

describe("another name", () => {
  it("of an issuer renames its callers in the audit trail, and is no change of its rules", async () => {
    expect(await diff(policyText, changed(["name: sso", "name: corp"], ["issuer: sso", "issuer: corp"]))).toBe(
      "~ issuer corp (line 7) renamed: was sso: its callers, jwt:sso:… in the audit trail, are jwt:corp:… from now on\n\n" +
        "no changes of rules, 1 change of trust\n",
    );
  });

  it("of a token and of certificates does too", async () => {
    const after = changed(
      ["name: admin, sha256", "name: root, sha256"],
      ["token: admin", "token: root"],
      ["name: web", "name: www"],
      ["certificates: web", "certificates: www"],
    );
    const out = await diff(policyText, after);
    expect(out).toContain(
      "certificates www (line 4) renamed: was web: its callers, dns:web:… in the audit trail, are dns:www:…",
    );
    expect(out).toContain(
      "token root (line 10) renamed: was admin: its callers, token:admin in the audit trail, are token:root",
    );
    expect(out).toContain("no changes of rules, 2 changes of trust\n");
  });

  it("of a trust domain's entries renames nobody", async () => {
    const out = await diff(policyText, changed(["name: mesh", "name: net"], ["name: spire", "name: svid"]));
    expect(out).toContain("~ certificates net (line 3) renamed: was mesh: no caller's name changes\n");
    expect(out).toContain("~ issuer svid (line 8) renamed: was spire: no caller's name changes\n");
  });

  it("of a rule is what audit rows name", async () => {
    expect(await diff(policyText, changed(["name: reader", "name: opener"]))).toBe(
      "~ rule opener (line 25) renamed: was reader, and gives the same: audit rows name opener from now on\n\n" +
        "1 change of rules, no changes of trust\n",
    );
  });

  it("comes with what else changed of the entry", async () => {
    const out = await diff(policyText, changed(["name: app, sha256", "name: batch, expires: 2027-01-01, sha256"]));
    expect(out).toContain("token batch (line 11) renamed: was app");
    expect(out).toContain("    expires  - never\n    expires  + 2027-01-01\n");
  });

  it("of a rule is found whatever the order of its tenants, and of a trust domain whatever its file", async () => {
    const after = changed(["name: reader", "name: opener"], ["[acme, beta]", "[beta, acme]"]);
    expect(await diff(policyText, after)).toContain("~ rule opener (line 25) renamed: was reader");
    const out = await diff(policyText, changed(["name: mesh", "name: net"], ["mesh.pem", "net.pem"]));
    expect(out).toContain("~ certificates net (line 3) renamed: was mesh");
    expect(out).toContain("    ca  - mesh.pem\n    ca  + net.pem\n");
  });

  it("and another address are another issuer", async () => {
    const others: [string, string][] = [
      ["issuer: sso,", "issuer: corp,"],
      ["https://sso.", "https://corp."],
    ];
    const out = await diff(policyText, changed(["name: sso", "name: corp"], ...others));
    expect(out).toContain("+ issuer corp (line 7) added\n");
    expect(out).toContain("- issuer sso (was line 7) removed\n");
    expect(out).toContain("    who  - jwt:sso:u:* with");
  });

  it("and other names under one authority are another entry of certificates", async () => {
    const out = await diff(policyText, changed(["name: lan, dns: [.lan]", "name: office, dns: [.office]"]));
    expect(out).toContain("+ certificates office (line 5) added\n");
  });

  it("is not found where nothing is the same: one is gone, and one is there", async () => {
    const out = await diff(policyText, changed(["name: reader", "name: opener"], ["[acme, beta]", "[acme]"]));
    expect(out).toContain("+ rule opener (line 25) added\n");
    expect(out).toContain("- rule reader (was line 25) removed\n");
  });

  it("goes to one of two rules that give the same, and the other is added", async () => {
    const reader = "  - { name: reader, who: { token: admin }, roles: [decrypt], tenants: [acme, beta] }\n";
    const two = `${reader.replace("reader", "one")}${reader.replace("reader", "two")}`;
    const out = await diff(policyText, changed([reader, two]));
    expect(out).toContain("~ rule one (line 25) renamed: was reader");
    expect(out).toContain("+ rule two (line 26) added\n");
  });
});

describe("the same name for others", () => {
  it("is said of an issuer", async () => {
    const out = await diff(policyText, changed(["https://sso.example.org", "https://other.example.org"]));
    expect(out).toContain("~ issuer sso (line 7) changed: jwt:sso:… in the audit trail was somebody else before\n");
    expect(out).toContain("    issuer  - https://sso.example.org\n    issuer  + https://other.example.org\n");
  });

  it("is not said where a trust domain becomes an issuer: its callers had other names", async () => {
    const spire = "trust-domain: example.org, bundle-file: bundle.json";
    const out = await diff(policyText, changed([spire, "issuer: https://spire.example.org"]));
    expect(out).toContain("~ issuer spire (line 8) changed\n");
    expect(out).not.toContain("somebody else");
  });

  it("is said of a token, whose hashes are not shown", async () => {
    const out = await diff(policyText, changed(["1".repeat(64), "2".repeat(64)]));
    expect(out).toBe(
      "~ token app (line 11) changed: is another token: whoever had the former is refused\n\nno changes of rules, 1 change of trust\n",
    );
  });
});

it("shows each field of an entry that comes, changes or goes", async () => {
  const issuer =
    "  - { name: hub, issuer: https://hub.example.org, audience: a, token-file: t, jwks: https://hub/k, max-lifetime: 15m }\n";
  const more = changed(["tokens:\n", `${issuer}tokens:\n`], ["ca: web.pem", "ca: www.pem"]);
  const out = await diff(policyText, more);
  for (const row of [
    "+ issuer hub (line 9) added",
    "    issuer           https://hub.example.org",
    "    audience         a",
    "    algorithms       RS256, PS256, ES256, ES384, EdDSA",
    "    keys             https://hub/k",
    "    token-file       t",
    "    max-lifetime     900s",
    "    clock-tolerance  30s",
    "~ certificates web (line 4) changed",
    "    ca  - web.pem",
    "    ca  + www.pem",
  ])
    expect(out).toContain(`${row}\n`);
  const crl = "version: 1\ncertificates: [{ name: web, dns: [.a], ca: c, crl: d }]\nrules: []\n";
  expect(await diff(crl, crl.replace("crl: d", "crl: e"))).toContain("    crl  - d\n    crl  + e\n");
  const back = await diff(more, policyText);
  expect(back).toContain("- issuer hub (was line 9) removed\n    issuer           https://hub.example.org\n");
  expect(
    await diff(
      policyText,
      changed(["trust-domain: example.org, ca", "trust-domain: example.com, ca"]).replace(
        "spiffe://example.org/i",
        "spiffe://example.com/i",
      ),
    ),
  ).toContain("    trust-domain  - example.org\n    trust-domain  + example.com\n");
});

it("says that one caller alone destroys keys, or no longer", async () => {
  const two = `${policyText}destruction: two-person\n`;
  expect(await diff(two, policyText)).toContain("~ destruction changed: was two-person, is one-person\n");
  expect(await diff(policyText, two)).toContain("~ destruction changed: was one-person, is two-person\n");
});

it("prints JSON: changes by kind, with what came and went", async () => {
  const after = changed(["[encrypt, sign]", "[sign]"], ["name: sso", "name: corp"], ["issuer: sso", "issuer: corp"]);
  expect(JSON.parse(await diff(policyText, after, "--json"))).toEqual({
    rules: [
      {
        change: "changed",
        kind: "rule",
        name: "ingest",
        line: 13,
        values: [{ what: "roles", gone: ["encrypt"], come: [] }],
      },
    ],
    trust: [
      {
        change: "renamed",
        kind: "issuer",
        name: "corp",
        line: 7,
        values: [],
        note: "was sso: its callers, jwt:sso:… in the audit trail, are jwt:corp:… from now on",
      },
    ],
  });
  expect(JSON.parse(await diff(policyText, policyText, "--json"))).toEqual({ rules: [], trust: [] });
});

describe("is refused", () => {
  it("for a policy that has problems, whichever it is", async () => {
    const folder = directory({ "good.yaml": policyText, "bad.yaml": "version: 2\nrules: []\n" });
    const [good, bad] = [join(folder, "good.yaml"), join(folder, "bad.yaml")];
    for (const files of [[good, bad] as const, [bad, good] as const]) {
      const { code, out, err } = await run(["policy", "diff", ...files]);
      expect({ code, out }).toEqual({ code: 1, out: "" });
      expect(err).toContain("bad.yaml:1: version: 1 is the one there is");
    }
  });

  it.each([
    [[], "policy diff needs OLD"],
    [["a.yaml"], "policy diff needs NEW"],
    [["a.yaml", "b.yaml", "c.yaml"], "policy diff does not take the argument c.yaml"],
  ])("for the files %j", async (files, text) => {
    const { code, err } = await run(["policy", "diff", ...files]);
    expect(code).toBe(2);
    expect(err).toContain(text);
  });
});

it("prints that a rule demands a token, and that it does no more", async () => {
  const gate = (name: string) =>
    `  - { name: ${name}, who: { spiffe: "spiffe://example.org/gate" }, token: required }\n`;
  expect(await diff(policyText, policyText + gate("gate"))).toBe(`+ rule gate (line 26) added
    who    spiffe://example.org/gate
    token  required

1 change of rules, no changes of trust
`);
  expect(await diff(policyText + gate("gate"), policyText + gate("door"))).toContain(
    "~ rule door (line 26) renamed: was gate, and demands the same\n",
  );
  const given = gate("gate").replace("token: required", "roles: [sign], tenants: [acme]");
  expect(await diff(policyText + given, policyText + gate("gate"))).toBe(`~ rule gate (line 26) changed
    roles    - sign
    tenants  - acme
    token    + required

1 change of rules, no changes of trust
`);
});
