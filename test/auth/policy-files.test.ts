/** A policy's files as the service reads them: what refuses a start in production, what only warns, and where paths begin. */
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { type PolicyFilesOptions, readFilesForStart, readPolicyFiles } from "../../src/auth/policy-files.ts";
import { directory } from "../support/config-fixture.ts";
import { fromNow, msFromNow } from "../support/from-now.ts";
import { newAuthority } from "../support/pki.ts";
import { testKey } from "../support/signed-tokens.ts";

const authority = newAuthority();
const text = `version: 1
certificates:
  - { name: web, dns: [.local], ca: web.pem, crl: web.crl }
issuers:
  - { name: sso, issuer: https://sso.example.org, audience: fluo-kms, jwks-file: keys/sso.json }
  - { name: far, issuer: https://far.example.org, audience: fluo-kms, ca: far.pem, token-file: far.token }
rules:
  - { name: r, who: { jwt: { issuer: sso, subject: ann } }, roles: [operate, key-admin], tenants: "*" }
`;

function folder(policy = text): string {
  const files = { "policy.yaml": policy, "web.pem": authority.pem, "web.crl": authority.crl() };
  const path = realpathSync(directory(files));
  mkdirSync(join(path, "keys"));
  writeFileSync(join(path, "keys", "sso.json"), JSON.stringify({ keys: [testKey("ES256", "k").jwk] }));
  writeFileSync(join(path, "far.pem"), newAuthority().pem);
  return path;
}

const options: PolicyFilesOptions = { nowMs: msFromNow(0), strict: true, tls: "own" };
const dev = { ...options, strict: false };
const told = (path: string, with_ = options) => {
  const { problems, warnings } = readFilesForStart(join(path, "policy.yaml"), with_);
  const lines = (some: typeof problems) => some.map(({ line, text: what }) => `${line}: ${what.replaceAll(path, "…")}`);
  return { problems: lines(problems), warnings: lines(warnings) };
};
const nothing = { problems: [], warnings: [] };

it("are found beside the policy, from wherever it is read, and all are watched", () => {
  const path = folder();
  const { files, stamps } = readFilesForStart(relative(process.cwd(), join(path, "policy.yaml")), options);
  expect(files?.policy.certificates[0]).toMatchObject({ ca: join(path, "web.pem"), crl: join(path, "web.crl") });
  expect(files?.policy.issuers[0]?.keys).toEqual({ from: "file", at: join(path, "keys", "sso.json") });
  expect(files?.policy.issuers[1]).toMatchObject({ ca: join(path, "far.pem"), tokenFile: join(path, "far.token") });
  expect([...stamps.keys()].slice(1)).toEqual(
    ["web.pem", "web.crl", "keys/sso.json", "far.pem"].map((name) => join(path, name)),
  );
  expect(files).toMatchObject({ ca: [authority.pem], warnings: [] });
  expect(files?.crlUntilMs).toBeGreaterThan(msFromNow(0));
});

it("are all told of at once, each with the line of its entry", () => {
  const path = folder(text.replace("https://far", "http://far"));
  for (const name of ["web.pem", "web.crl", "keys/sso.json", "far.pem"]) writeFileSync(join(path, name), "");
  chmodSync(join(path, "policy.yaml"), 0o666);
  const why = "whoever is on the way can give tokens; use https";
  expect(told(path).problems).toEqual([
    "1: …/policy.yaml can be written by everybody: chmod o-w, or mount it read-only",
    "3: certificates web: ca …/web.pem: holds no CA certificate in PEM",
    "3: certificates web: crl …/web.crl: holds no revocation list in PEM",
    "5: issuer sso: jwks-file …/keys/sso.json: is no JSON",
    `6: issuer far: http://far.example.org is not https: ${why}`,
    "6: issuer far: ca …/far.pem: holds no certificate in PEM",
  ]);
});

describe("read while they are replaced", () => {
  const policyOf = (trustDomain: string) => `version: 1
certificates: [{ name: mesh, trust-domain: ${trustDomain}, ca: ca.pem }]
rules:
  - { name: r, who: { spiffe: "spiffe://${trustDomain}/ops" }, roles: [operate, key-admin], tenants: "*" }
`;

  /** Two versions behind a link ..data, as Kubernetes has them. */
  function versions() {
    const path = directory();
    for (const name of ["a", "b"]) {
      mkdirSync(join(path, name));
      writeFileSync(join(path, name, "policy.yaml"), policyOf(`${name}.org`));
      writeFileSync(join(path, name, "ca.pem"), newAuthority().pem);
    }
    symlinkSync("a", join(path, "..data"));
    for (const name of ["policy.yaml", "ca.pem"]) symlinkSync(`..data/${name}`, join(path, name));
    const swap = () => {
      symlinkSync("b", join(path, "..new"));
      renameSync(join(path, "..new"), join(path, "..data"));
    };
    return { path, file: join(path, "policy.yaml"), swap };
  }

  /** The clock is asked between the policy and its authorities. */
  const whileRead = (change: () => void): PolicyFilesOptions => ({
    ...options,
    get nowMs() {
      change();
      return msFromNow(0);
    },
  });
  const replaced = [{ line: 1, text: "it, or a file that it names, was replaced while it was read" }];

  it("are refused by a line, and read whole the next time", () => {
    const { path, file, swap } = versions();
    let isSwapped = false;
    const once = () => {
      if (!isSwapped) swap();
      isSwapped = true;
    };
    expect(readPolicyFiles(file, whileRead(once))).toMatchObject({ files: undefined, problems: replaced });
    const { files } = readPolicyFiles(file, whileRead(once));
    expect(files?.policy.certificates[0]?.trustDomain).toBe("b.org");
    expect(files?.ca).toEqual([readFileSync(join(path, "b", "ca.pem"), "utf8")]);
  });

  it("are refused, too, where a file is written over in its place", () => {
    const { path, file } = versions();
    for (const name of ["ca.pem", "policy.yaml"]) {
      const longer = () => appendFileSync(join(path, name), "# more\n");
      expect(readPolicyFiles(file, whileRead(longer)).problems).toEqual(replaced);
    }
  });
});

it("are not held up later by a key set, which keeps its former keys by itself", () => {
  const path = folder();
  for (const name of ["keys/sso.json", "far.pem"]) writeFileSync(join(path, name), "");
  expect(readPolicyFiles(join(path, "policy.yaml"), options).files?.policy.issuers).toHaveLength(2);
  expect(told(path).problems).toHaveLength(2);
});

it.each([
  ["a folder", "is no file", (file: string) => mkdirSync(file)],
  [
    "a file of more than 16 MiB",
    "is longer than 16777216 bytes",
    (file: string) => writeFileSync(file, Buffer.alloc(16 * 1024 * 1024 + 1)),
  ],
  ["what is no UTF-8", "is not UTF-8", (file: string) => writeFileSync(file, Buffer.of(0xff))],
  ["nothing", "cannot be read (ENOENT)", () => {}],
])("are refused where %s stands for one: %s", (_, problem, make) => {
  const path = folder();
  renameSync(join(path, "web.pem"), join(path, "former.pem"));
  make(join(path, "web.pem"));
  expect(told(path, dev).problems).toEqual([`3: certificates web: ca …/web.pem ${problem}`]);
});

describe("an authority below which TLS refuses everybody is a warning:", () => {
  it("one without a revocation list, where its entry has lists", () => {
    const path = folder();
    const other = newAuthority();
    const old = newAuthority({ from: new Date(0), until: new Date(1000) });
    writeFileSync(join(path, "web.pem"), old.pem + authority.pem + other.pem);
    expect(told(path)).toEqual({
      problems: [],
      warnings: ["3: certificates web: no revocation list is of CA certificate 3, so no client of it is accepted"],
    });
    const soon = fromNow(60_000);
    writeFileSync(join(path, "web.crl"), authority.crl() + other.crl([], { nextUpdate: soon }) + authority.crl());
    expect(told(path)).toEqual(nothing);
    const until = readPolicyFiles(join(path, "policy.yaml"), options).files?.crlUntilMs;
    expect(until).toBe(Math.floor(soon.getTime() / 1000) * 1000);
    expect(told(folder(text.replace(", crl: web.crl", "")))).toEqual(nothing);
  });

  it("one that has ended, where there is no other", () => {
    const path = folder(text.replace(", crl: web.crl", ""));
    const old = newAuthority({ from: new Date(0), until: new Date(1000) });
    writeFileSync(join(path, "web.pem"), old.pem);
    const warnings = ["3: certificates web: every CA certificate is out of its time, so no client is accepted"];
    expect(told(path)).toEqual({ problems: [], warnings });
    writeFileSync(join(path, "web.pem"), old.pem + authority.pem);
    expect(told(path)).toEqual(nothing);
  });
});

it.each([
  [text.replace("https://sso", "http://sso"), "5: issuer sso", "http://sso.example.org"],
  [text.replace("ca: far.pem", "jwks: http://127.0.0.1/keys, ca: far.pem"), "6: issuer far", "http://127.0.0.1/keys"],
])(
  "an http: address of an issuer or a key set is refused in production, and a warning in dev: %#",
  (policy, of, at) => {
    const path = folder(policy);
    expect(told(path).problems).toEqual([
      `${of}: ${at} is not https: whoever is on the way can give tokens; use https`,
    ]);
    expect(told(path, dev)).toEqual({ problems: [], warnings: [`${of}: http: is for loopback in profile dev`] });
  },
);

it("client certificates are refused behind a proxy that speaks TLS, and a warning where nobody does", () => {
  const toldBy = (tls: PolicyFilesOptions["tls"], policy?: string) => told(folder(policy), { ...options, tls });
  const why = "no certificate of a client reaches the service";
  const problem = `3: certificates: fluo.kms.tls.terminated is true, so ${why}: take them out`;
  expect(toldBy("proxy")).toEqual({ problems: [problem], warnings: [] });
  const warning = `3: certificates: without fluo.kms.tls.certificate ${why}`;
  expect(toldBy("nobody")).toEqual({ problems: [], warnings: [warning] });
  const without = text.replace(/certificates:\n.*\n/, "");
  for (const tls of ["own", "proxy", "nobody"] as const) expect(toldBy(tls, without)).toEqual(nothing);
});

describe.skipIf(process.platform === "win32")("what everybody can write", () => {
  it.each([
    ["the policy", "policy.yaml", 1],
    ["an authority", "web.pem", 3],
    ["a revocation list", "web.crl", 3],
    ["a key set", "keys/sso.json", 5],
    ["the authority of an issuer", "far.pem", 6],
  ])("is refused in production, and a warning in dev: %s", (_, name, line) => {
    const path = folder();
    chmodSync(join(path, name), 0o646);
    const text = `${line}: …/${name} can be written by everybody: chmod o-w, or mount it read-only`;
    expect(told(path)).toEqual({ problems: [text], warnings: [] });
    expect(told(path, dev)).toEqual({ problems: [], warnings: [text] });
  });

  const move = (path: string, from: string, to: string) => renameSync(join(path, from), join(path, to));
  const link = (path: string, target: string, name: string) => symlinkSync(target, join(path, name));
  function linkOnItsWay(path: string): void {
    for (const name of ["way", "end"]) mkdirSync(join(path, name));
    move(path, "keys/sso.json", "end/sso.json");
    link(path, "../end/sso.json", "way/sso.json");
    link(path, "../way/sso.json", "keys/sso.json");
  }

  it.each<[what: string, open: string, arrange: (path: string) => void]>([
    ["of one", "keys", () => {}],
    ["that a link leads to", "end", linkOnItsWay],
    ["on the way of a link", "way", linkOnItsWay],
    [
      "that a link in a linked folder leads to, from where that folder is",
      "far/end",
      (path) => {
        for (const name of ["far", "far/end"]) mkdirSync(join(path, name));
        move(path, "keys", "far/keys");
        move(path, "far/keys/sso.json", "far/end/sso.json");
        link(path, "../end/sso.json", "far/keys/sso.json");
        link(path, "far/keys", "keys");
      },
    ],
    [
      "behind a link of a folder, as ..data is one",
      "keys",
      (path) => {
        move(path, "keys", "..2026");
        link(path, "..2026", "keys");
      },
    ],
  ])("may be the folder %s", (_, open, arrange) => {
    const path = folder();
    arrange(path);
    expect(told(path)).toEqual(nothing);
    chmodSync(join(path, open), 0o777);
    const why = "can be written by everybody, in which …/keys/sso.json can be replaced";
    expect(told(path).problems).toEqual([`5: …/${open} ${why}: chmod o-w, or mount it read-only`]);
  });

  it("is no folder such as /tmp, in which each owns its files", () => {
    const path = folder();
    chmodSync(join(path, "keys"), 0o1777);
    expect(told(path)).toEqual(nothing);
  });
});
