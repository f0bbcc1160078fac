/** `policy explain --token-file`: a token is judged as the service judges it, by keys in files or fetched from a real issuer over HTTPS. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmodSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { newStaticToken } from "../../../src/auth/token/static-token.ts";
import { resultOf, start, run } from "../../support/cli-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { secondsFromNow } from "../../support/from-now.ts";
import { newAuthority } from "../../support/pki.ts";
import { part, signatureBy, signed, type TestKey, testKey, tokenBy } from "../../support/signed-tokens.ts";

const authority = newAuthority();
const server = authority.issue({ dns: ["localhost"], extendedKeyUsage: ["serverAuth"] });
const keys = {
  far: testKey("ES256", "far-1"),
  near: testKey("EdDSA", "near-1"),
  svid: testKey("ES256", "svid-1", { use: "jwt-svid" }),
};
const stranger = testKey("ES256", "far-1");
const { token: good, sha256 } = newStaticToken();
const { token: ended, sha256: endedSha256 } = newStaticToken();
const second = secondsFromNow(0);
const canary = "canary-of-a-claim";

let asked: string[] = [];
let published: unknown;
const issuer = createServer({ cert: server.chain, key: server.key }, ({ url = "" }, response) => {
  asked.push(url);
  const discovery = { issuer: origin, jwks_uri: `${origin}/keys` };
  response.end(JSON.stringify(url === "/keys" ? published : discovery));
});
let origin = "";
beforeAll(async () => {
  issuer.listen(0, "localhost");
  await once(issuer, "listening");
  origin = `https://localhost:${(issuer.address() as AddressInfo).port}`;
});
afterAll(() => {
  issuer.closeAllConnections();
  issuer.close();
});
beforeEach(() => {
  asked = [];
  published = { keys: [keys.far.jwk] };
});

const policyText = () => `version: 1
issuers:
  - { name: far, issuer: "${origin}", audience: fluo-kms, ca: ca.pem }
  - { name: near, issuer: https://near.example.org, audience: fluo-kms, jwks-file: near.json }
  - { name: spire, trust-domain: example.org, bundle-file: bundle.json, audience: fluo-kms }
  - { name: other, issuer: "${origin}/other", audience: fluo-kms, ca: ca.pem }
tokens:
  - { name: app, sha256: ${sha256}, expires: 2099-01-01 }
  - { name: ended, sha256: ${endedSha256}, expires: 2020-01-01 }
rules:
  - { name: far, who: { jwt: { issuer: far, claims: { groups: kms } } }, roles: [encrypt], tenants: [acme] }
  - { name: near, who: { jwt: { issuer: near, subject: ann } }, roles: [sign], tenants: "*" }
  - { name: svid, who: { spiffe: "spiffe://example.org/ingest" }, roles: [verify], tenants: "*" }
  - { name: app, who: { token: app }, roles: [operate, key-admin], tenants: "*" }
`;

async function explain(token: string, ...options: string[]) {
  const folder = directory({
    "policy.yaml": policyText(),
    "ca.pem": authority.pem,
    token: `${token}\n`,
    "near.json": JSON.stringify({ keys: [keys.near.jwk] }),
    "bundle.json": JSON.stringify({ keys: [keys.svid.jwk] }),
  });
  const file = join(folder, "policy.yaml");
  chmodSync(join(folder, "token"), 0o600);
  const result = await run(["policy", "explain", file, "--token-file", join(folder, "token"), ...options]);
  for (const text of [token, ...token.split("."), canary]) expect(result.out + result.err).not.toContain(text);
  return result;
}

const claims = (more: object = {}) => ({
  iss: origin,
  aud: "fluo-kms",
  sub: "ann",
  iat: second,
  exp: second + 300,
  groups: ["kms", canary],
  ...more,
});
const near = (more: object = {}, key: TestKey = keys.near) =>
  tokenBy(key, claims({ iss: "https://near.example.org", ...more }));
const lines = (out: string) => out.trimEnd().split("\n");

describe("a token whose issuer has its keys on the network", () => {
  it("is judged by the keys that are fetched where it is asked for, and no other issuer is asked", async () => {
    const token = tokenBy(keys.far, claims());
    const { code, out } = await explain(token, "--fetch", "--rpc", "EncryptPii", "--tenant", "acme");
    expect([code, lines(out)[0], lines(out).at(-1)]).toEqual([0, "caller  jwt:far:ann", "allowed by far (line 11)"]);
    expect(asked).toEqual(["/.well-known/openid-configuration", "/keys"]);
    const denied = await explain(token, "--fetch", "--rpc", "DecryptPii", "--tenant", "acme");
    expect([denied.code, lines(denied.out).at(-1)]).toEqual([1, "denied: no rule gives decrypt for acme"]);
  });

  it("is not judged without: nobody is asked, and no claim of it is believed", async () => {
    const why = "the keys of issuer far are not in a file, so the token's signature cannot be verified";
    for (const key of [keys.far, stranger]) {
      const { code, out, err } = await explain(tokenBy(key, claims()), "--rpc", "EncryptPii", "--tenant", "acme");
      expect({ code, out }).toEqual({ code: 1, out: "" });
      expect(err).toBe(
        `fluo-kms: ${why}; --fetch asks the issuer for them, and --issuer far --claims FILE takes claims as they are\n`,
      );
    }
    expect(asked).toEqual([]);
  });

  it.each<[string, () => string, RegExp]>([
    [
      "signed by somebody else",
      () => tokenBy(stranger, claims()),
      /issuer far, kid "far-1": ERR_JWS_SIGNATURE_VERIFICATION_FAILED/,
    ],
    [
      "signed by a key that it has not",
      () => tokenBy(testKey("ES256", "far-2"), claims()),
      /issuer far, kid "far-2": there is no such key/,
    ],
    [
      "that has expired",
      () => tokenBy(keys.far, claims({ iat: second - 900, exp: second - 300 })),
      /the token has expired: issuer far/,
    ],
    [
      "for another audience",
      () => tokenBy(keys.far, claims({ aud: "else" })),
      /issuer far, kid "far-1": aud does not name this service/,
    ],
  ])("is refused %s, and why is said", async (_, token, why) => {
    const { code, out, err } = await explain(token(), "--fetch");
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(why);
  });

  it("is not judged where the issuer has no keys to give", async () => {
    published = { keys: [] };
    const { code, out, err } = await explain(tokenBy(keys.far, claims()), "--fetch");
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain('the issuer\'s keys cannot be had now: issuer far, kid "far-1": has no key that counts');
  });
});

describe("a token whose issuer has its keys in a file", () => {
  it("is judged by these, and nobody is asked", async () => {
    for (const options of [[], ["--fetch"]]) {
      const { code, out } = await explain(near(), ...options, "--rpc", "SignSpan");
      expect([code, lines(out)[0], lines(out).at(-1)]).toEqual([
        0,
        "caller  jwt:near:ann",
        "allowed by near (line 12)",
      ]);
    }
    expect(asked).toEqual([]);
  });

  it("is a JWT-SVID too", async () => {
    const { out } = await explain(tokenBy(keys.svid, { ...claims(), sub: "spiffe://example.org/ingest" }));
    expect(lines(out)[0]).toBe("caller  spiffe://example.org/ingest");
  });

  it("is refused if it was not signed by one of them", async () => {
    const { code, out, err } = await explain(near({}, testKey("EdDSA", "near-1")));
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain('the token is not accepted: issuer near, kid "near-1": ERR_JWS_SIGNATURE');
  });

  it("is noted to be bound to a certificate", async () => {
    const cnf = { "x5t#S256": createHash("sha256").update("certificate").digest("base64url") };
    const { code, out } = await explain(near({ cnf }));
    expect(code).toBe(0);
    expect(out).toContain(
      "note    the token is bound to a client certificate: the service refuses it on any other connection\n",
    );
    expect((await explain(near())).out).not.toContain("note");
  });
});

describe("a static token", () => {
  it("is found by its hash", async () => {
    const { code, out } = await explain(good, "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ caller: "token:app", notes: [], roles: { operate: { rule: "app" } } });
  });

  it.each([
    ["past its end", ended, "the token has expired: static token ended"],
    ["that the policy has not", newStaticToken().token, "the token is not accepted: no static token of the policy"],
  ])("is refused %s", async (_, token, why) => {
    const { code, out, err } = await explain(token);
    expect({ code, out, err }).toEqual({ code: 1, out: "", err: `fluo-kms: ${why}\n` });
  });
});

it.each<[string, () => string, string]>([
  [
    "no issuer of the policy",
    () => tokenBy(keys.near, claims({ iss: "https://x.example.org" })),
    "its issuer is not in the policy",
  ],
  [
    "alg none",
    () => `${part({ alg: "none" })}.${part(claims())}.${part("x")}`,
    "issuer far, no kid: alg is not listed",
  ],
  [
    "a member twice",
    () => signed({ alg: "EdDSA" }, '{"sub":"a","sub":"b"}', signatureBy(keys.near)),
    "have a member twice",
  ],
  ["no form of a token", () => "opaque", "neither a static token nor a signed JWT"],
])("refuses a token of %s as the service does, in JSON too", async (_, token, why) => {
  expect((await explain(token())).err).toContain(why);
  const { code, out } = await explain(token(), "--json");
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({ code: "FAILED", message: expect.stringContaining(why) });
});

it("takes the token from standard input", async () => {
  const folder = directory({ "policy.yaml": policyText() });
  const child = start(["policy", "explain", join(folder, "policy.yaml"), "--token-file", "-"]);
  child.stdin!.end(good);
  const { code, out } = await resultOf(child);
  expect([code, lines(out)[0]]).toEqual([0, "caller  token:app"]);
});

it.each<[string, string[]]>([
  ["one of --as", ["--token-file", "t", "--as", "token:app"]],
  ["one of --as", ["--token-file", "t", "--issuer", "far", "--claims", "c"]],
  ["--fetch gets keys for --token-file", ["--fetch", "--as", "token:app"]],
  ["cannot be read (ENOENT)", ["--token-file", "nowhere"]],
  ["not the token itself", ["--token-file", "fkt_abc"]],
])("is wrong usage: %s", async (text, args) => {
  const folder = directory();
  writeFileSync(join(folder, "policy.yaml"), policyText());
  const { code, out, err } = await run(["policy", "explain", join(folder, "policy.yaml"), ...args]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toContain(text);
});
