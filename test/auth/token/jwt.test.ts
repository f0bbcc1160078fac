import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readJwt, type VerifiedToken, verifyJwt } from "../../../src/auth/token/jwt.ts";
import type { KmsError, KmsErrorCode } from "../../../src/errors.ts";
import { thrownBy } from "../../support/matchers.ts";
import {
  hmacBy,
  type Json,
  part,
  sharedKey,
  signatureBy,
  signed,
  testKey,
  tokenBy,
} from "../../support/signed-tokens.ts";
import { startMs, type World, worldOf } from "../../support/token-world.ts";

const rsa = sharedKey("RS256", "k");
const ec = sharedKey("ES256", "e");
const ed = sharedKey("EdDSA", "d");
const rsaOfB = testKey("RS256", "k");
const svid = testKey("ES256", "s", { use: "jwt-svid" });
const svidOfOther = testKey("ES256", "s", { use: "jwt-svid" });

let world: World;
beforeAll(() => {
  world = worldOf(
    [
      { name: "sso", issuer: "https://a.example.org/", audience: "fluo-kms" },
      { name: "other", issuer: "https://b.example.org", audience: ["kms-b", "fluo-kms"], algorithms: ["RS256"] },
      { name: "spire", "trust-domain": "example.org", "bundle-file": "/b", audience: "fluo-kms", algorithms: "ES256" },
      { name: "spire-b", "trust-domain": "b.org", "bundle-file": "/b", audience: "fluo-kms" },
    ],
    {
      sso: { keys: [rsa.jwk, ec.jwk, ed.jwk] },
      other: { keys: [rsaOfB.jwk] },
      spire: { keys: [svid.jwk, { ...ec.jwk, use: "x509-svid" }] },
      "spire-b": { keys: [svidOfOther.jwk] },
    },
  );
});
afterAll(() => world.close());

const second = startMs / 1_000;
const claims = { iss: "https://a.example.org/", aud: "fluo-kms", sub: "ingest", iat: second, exp: second + 600 };
/** Claims with some of them changed, or left out where they are undefined. */
const withClaims = (changed: Json): Json => ({ ...claims, ...changed });
const svidClaims = { aud: "fluo-kms", sub: "spiffe://example.org/ns/fluo/sa/ingest", exp: second + 300 };
const good = tokenBy(rsa, claims);

async function verify(token: string, nowMs = startMs): Promise<VerifiedToken> {
  const read = readJwt(token, world.issuers);
  const key = await read.issuer.keys.key(read.kid, read.algorithm);
  return verifyJwt(read, key, () => nowMs);
}

const texts: Partial<Record<KmsErrorCode, string>> = {
  UNAUTHENTICATED: "the token is not accepted",
  CREDENTIAL_EXPIRED: "the token has expired",
};

/** What the log says of a token that is refused. */
async function refused(token: string, code: KmsErrorCode = "UNAUTHENTICATED", nowMs = startMs): Promise<string> {
  const error = (await thrownBy(() => verify(token, nowMs))) as KmsError;
  expect(error, token.slice(0, 200)).toBeKmsError(code);
  expect(error.message).toBe(texts[code]);
  expect(error.inLog.startsWith(`${texts[code]}: `)).toBe(true);
  // What jose throws holds claims.
  expect(error.cause).toBeUndefined();
  const [, payload, signature] = token.split(".");
  for (const secret of [payload, signature]) {
    if (secret && secret.length > 20) expect(error.inLog).not.toContain(secret);
  }
  return error.inLog;
}

/** Said of a token that is refused because of its signature, or for want of a key, and for nothing else. */
const forged = /ERR_JWS_SIGNATURE_VERIFICATION_FAILED|no such key|not listed/;
const any = /./;
const noJwt = /no signed JWT/;

/** Good tokens but for one claim, or one member of the header. */
const claiming = (name: string, ...values: unknown[]) =>
  values.map((value) => tokenBy(rsa, withClaims({ [name]: value })));
const headed = (name: string, ...values: unknown[]) => values.map((value) => tokenBy(rsa, claims, { [name]: value }));
/** A good token whose claims are this text. */
const texted = (text: string, header: unknown = { alg: "RS256", kid: "k" }) => signed(header, text, signatureBy(rsa));
const svidWith = (changed: Json) => tokenBy(svid, { ...svidClaims, ...changed });
const b = "https://b.example.org";

async function accepted(...tokens: string[]): Promise<void> {
  for (const token of tokens) expect(await verify(token), token.slice(0, 200)).toBeDefined();
}

describe("a good token", () => {
  it.each([rsa, ec, ed])("of $alg proves its subject, with its claims", async (key) => {
    const all = withClaims({ roles: ["a"], scope: "x y" });
    const found = await verify(tokenBy(key, all));
    expect(found).toEqual({
      identity: { kind: "jwt", issuer: "sso", subject: "ingest", claims: all },
      untilMs: startMs + 630_000,
      issuer: world.issuers.byIssuer("https://a.example.org/"),
      key: expect.stringMatching(/^[0-9a-f]{64}$/),
      thumbprint: undefined,
    });
    expect(found.issuer.keys.has(found.key)).toBe(true);
  });

  it("of RFC 9068, its type in any case, or with none", async () => {
    await accepted(...headed("typ", "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT", "JOSE"));
    await accepted(...headed("typ", undefined), tokenBy(rsa, claims, { x5t: "abc", "x5t#S256": "def" }));
  });

  it("may have a kid or not, where one key fits", async () => {
    await accepted(
      tokenBy(ec, claims, { kid: undefined }),
      tokenBy(rsaOfB, withClaims({ iss: b }), { kid: undefined }),
    );
  });

  it.each<[algorithms: string[] | undefined, ok: string[]]>([
    [
      ["PS256", "ES512"],
      ["PS256", "ES512"],
    ],
    [undefined, ["PS256"]],
  ])("may be of PS256 and, where the policy lists it, ES512: %j", async (algorithms, ok) => {
    const keys = [sharedKey("PS256", "p"), sharedKey("ES512", "x")];
    const issuer = { name: "sso", issuer: claims.iss, audience: "fluo-kms", ...(algorithms && { algorithms }) };
    const other = worldOf([issuer], { sso: { keys: keys.map(({ jwk }) => jwk) } });
    const found = await Promise.allSettled(keys.map((key) => other.identify(tokenBy(key, claims))));
    expect(found.map(({ status }) => status === "fulfilled")).toEqual(keys.map(({ alg }) => ok.includes(alg)));
    other.close();
  });

  it("proves a SPIFFE id where it is a JWT-SVID, of which iss and iat are not asked", async () => {
    for (const changed of [{}, { iss: "https://anybody.example.org" }, { iss: 7 }, { iat: second - 60 }]) {
      const { identity, untilMs } = await verify(svidWith(changed));
      expect(identity).toEqual({ kind: "spiffe", id: "spiffe://example.org/ns/fluo/sa/ingest" });
      expect(untilMs).toBe(startMs + 330_000);
    }
    const other = { ...svidClaims, sub: "spiffe://b.org/x" };
    expect((await verify(tokenBy(svidOfOther, other))).issuer.entry.name).toBe("spire-b");
  });

  it("has a lone signature of ECDSA or its twin, as ECDSA always has", async () => {
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const twin = signed({ alg: "ES256", kid: "e" }, claims, (input) => {
      const signature = signatureBy(ec)(input);
      const s = order - BigInt(`0x${signature.subarray(32).toString("hex")}`);
      return Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, "0"), "hex")]);
    });
    await accepted(twin);
  });

  it("may spell names of claims with escapes, and no name of the header", async () => {
    const escaped = JSON.stringify(withClaims({ "caf\u00e9": "x/y" }))
      .replace("\u00e9", "\\u00e9")
      .replace("sub", "s\\u0075b");
    const { identity } = await verify(texted(escaped));
    expect(identity).toMatchObject({ subject: "ingest", claims: { "caf\u00e9": "x/y" } });
    expect(await refused(texted(escaped, '{"alg":"RS256","k\\u0069d":"k"}'))).toContain(
      "a name in its header is spelt with an escape",
    );
  });
});

const [header, payload, signature] = good.split(".") as [string, string, string];
const stranger = testKey("RS256", "k");
const claimsText = JSON.stringify(claims);
const headerText = JSON.stringify({ alg: "RS256", kid: "k" });

/** Forms of the RSA public key by which HMAC could be made. */
function publicForms(): (string | Buffer)[] {
  const of = (type: "spki" | "pkcs1") =>
    (["pem", "der"] as const).map((format) => rsa.publicKey.export({ type, format } as never) as string | Buffer);
  const { n } = rsa.jwk as { n: string };
  const [pem] = of("spki");
  return [...of("spki"), ...of("pkcs1"), `${pem}`.trim(), JSON.stringify(rsa.jwk), "", n, Buffer.from(n, "base64url")];
}

/** ES256 signatures as forgers have tried them. */
function badSignatures(): string[] {
  const order = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
  const zero = Buffer.alloc(32);
  const inDer = (bytes: Buffer) => {
    const value = bytes[0]! >= 128 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
    return Buffer.concat([Buffer.of(2, value.length), value]);
  };
  const changes: ((r: Buffer, s: Buffer) => Buffer[])[] = [
    () => [zero, zero],
    (_, s) => [zero, s],
    (r) => [r, zero],
    (_, s) => [order, s],
    (r) => [r, order],
    () => [order, order],
    (r, s) => [r, s.subarray(0, 31)],
    (r, s) => [r, s, Buffer.of(0)],
    (r, s) => [Buffer.of(0x30, inDer(r).length + inDer(s).length), inDer(r), inDer(s)],
  ];
  return changes.map((change) =>
    signed({ alg: "ES256", kid: "e" }, claims, (input) => {
      const made = signatureBy(ec)(input);
      return Buffer.concat(change(made.subarray(0, 32), made.subarray(32)));
    }),
  );
}

/** Signatures by Ed25519 keys of low order, with the key in the header and without. */
function lowOrder(withKey: boolean): string[] {
  return ["", "01", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"].map((hex) => {
    const x = Buffer.from(hex.padEnd(64, "0"), "hex");
    const jwk = withKey && { jwk: { kty: "OKP", crv: "Ed25519", x: x.toString("base64url") } };
    return signed({ alg: "EdDSA", kid: "d", ...jwk }, claims, () => Buffer.concat([x, Buffer.alloc(32)]));
  });
}

/** The same bytes in base64url by another last character: of 256 bytes it has 4 bits that say nothing. */
function otherSpelling(): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const twin = alphabet[alphabet.indexOf(signature.at(-1)!) + 1]!;
  const other = `${signature.slice(0, -1)}${twin}`;
  expect(Buffer.from(other, "base64url")).toEqual(Buffer.from(signature, "base64url"));
  return `${header}.${payload}.${other}`;
}

const numbered = (name: string, ...texts: string[]) =>
  texts.map((text) => texted(JSON.stringify(withClaims({ [name]: 0 })).replace(`"${name}":0`, `"${name}":${text}`)));
const day = 86_400;
const { iss } = claims;
const thumbprint = Buffer.alloc(32, 7).toString("base64url");

it.each<[what: string, reason: RegExp, ...tokens: (string | string[])[]]>([
  [
    "attack 2: none as its algorithm, in any case, with an empty signature and with another's",
    any,
    ["none", "None", "NONE", "nOnE", ""].flatMap((alg) => [
      `${part({ alg, kid: "k" })}.${part(claims)}.`,
      `${part({ alg })}.${part(claims)}.AA`,
      ...headed("alg", alg),
    ]),
  ],
  ["attack 2: no signature", any, [`${header}.${payload}.`]],
  [
    "attack 2: an algorithm that is no text",
    /alg is no text/,
    headed("alg", undefined, null, 7, ["RS256"], { alg: "R" }),
  ],
  [
    "attack 3: HS256 with the RSA public key as secret, whatever form of it",
    forged,
    publicForms().flatMap((secret) =>
      [{ alg: "HS256", kid: "k" }, { alg: "HS256" }, { alg: "RS256", kid: "k" }].map((head) =>
        signed(head, claims, hmacBy(secret)),
      ),
    ),
  ],
  [
    "attack 4: another algorithm than the key's, or one that is not listed",
    forged,
    headed("alg", "PS256", "ES256", "EdDSA", "RS512", "RS384", "HS256", "rs256", "RS256 "),
    ...(["RS512", "PS256"] as const).map((alg) => tokenBy({ ...rsa, alg }, claims)),
    tokenBy(ed, claims, { alg: "Ed25519" }),
  ],
  [
    "attack 4: one that its issuer's entry does not list",
    /issuer other, kid "k": alg is not listed/,
    [tokenBy({ ...rsaOfB, alg: "PS256" }, withClaims({ iss: b }))],
  ],
  ["attack 5: an ES256 signature of zeros, in DER, or with r or s of 0 or beyond the order", forged, badSignatures()],
  ["attack 6: EdDSA by a key of low order in the token", /its header has jwk/, lowOrder(true)],
  ["attack 6: EdDSA by a key of low order", forged, lowOrder(false)],
  ["attack 7: a stranger's signature", forged, [tokenBy(stranger, claims)]],
  [
    // The good key does not make it good.
    "attack 7: a key in its header",
    /its header has jwk/,
    [tokenBy(stranger, claims, { jwk: stranger.jwk }), ...headed("jwk", rsa.jwk, null)],
  ],
  ["attack 7: certificates in its header", /its header has x5c/, headed("x5c", ["MIIB"], [])],
  ["attack 9: a kid that is no text", /kid is no text/, headed("kid", 7, 0, null, ["k"], { kid: "k" }, true)],
  [
    "attack 14: keys of another issuer, with the same kid",
    forged,
    tokenBy(rsa, withClaims({ iss: b })),
    tokenBy(rsaOfB, claims),
    tokenBy(svidOfOther, svidClaims),
    svidWith({ sub: "spiffe://b.org/x" }),
    // A bundle's keys for certificates sign no tokens.
    tokenBy(ec, svidClaims, { kid: "e" }),
  ],
  ["attack 10: crit, whatever it says", /its header has crit/, headed("crit", ["b64"], ["exp"], [], null)],
  ["attack 10: b64, whatever it says", /its header has b64/, headed("b64", false, true)],
  ["attack 11: five parts, or four", noJwt, [`${good}.aXY.dGFn`, `${good}.aXY`]],
  [
    "attack 11: JWE, a token in a token and what is compressed",
    any,
    `${part({ alg: "RSA-OAEP", enc: "A256GCM" })}.a2V5.aXY.dGV4dA.dGFn`,
    headed("enc", "A256GCM"),
    headed("zip", "DEF"),
    headed("cty", "JWT"),
    tokenBy(rsa, good, { cty: "JWT" }),
    tokenBy(rsa, good),
  ],
  [
    "attack 12: another serialisation, or another spelling of the same bytes",
    any,
    JSON.stringify({ protected: header, payload, signature }),
    JSON.stringify({ payload, signatures: [{ protected: header, signature }] }),
    ...[`${good}.`, `.${good}`, `${good}=`, `${good}==`, ` ${good}`, `${good} `, `${good}\n`, `${good}.x`],
    ...[`${header}=.${payload}.${signature}`, `${header}\n.${payload}.${signature}`],
    ...[`${header}.${payload}`, `${header}..${signature}`, header, "", "..", "...", otherSpelling()],
    good.replaceAll("-", "+").replaceAll("_", "/"),
  ],
  [
    "attack 21: a member twice in header or claims, though signed",
    any,
    texted(claimsText.replace('"sub":', '"sub":"admin","sub":')),
    texted(claimsText.replace('"sub":', '"s\\u0075b":"admin","sub":')),
    texted(claimsText.replace("}", ',"aud":"fluo-kms"}')),
    texted(claimsText.replace("}", ',"deep":{"a":1,"a":2}}')),
    texted(claimsText, headerText.replace("{", '{"alg":"none",')),
    texted(claimsText, headerText.replace("{", '{"kid":"k",')),
  ],
  [
    "what is no JSON object in UTF-8",
    any,
    ...["[]", "null", '"text"', "", "7", "{", `${claimsText}x`].flatMap((text) => [
      texted(text),
      texted(claimsText, text),
    ]),
    signed(Buffer.from(headerText), Buffer.from(JSON.stringify(withClaims({ sub: "é" })), "latin1"), signatureBy(rsa)),
  ],
  [
    "attack 16: another type",
    /of another type/,
    headed("typ", "logout+jwt", "dpop+jwt", "secevent+jwt", "JWE", "", "jwt2", "xjwt", "application/", 7, null),
    headed("typ", ["JWT"]),
  ],
  ...["nonce", "at_hash", "c_hash", "s_hash", "events"].map((name): [string, RegExp, string[]] => [
    `attack 16: the claim ${name} of a login or an event`,
    new RegExp(`the claim ${name}`),
    claiming(name, "x", null, {}),
  ]),
  ["attack 16: Keycloak's other kinds", /no access token/, claiming("typ", "ID", "Refresh", "Offline", "Logout", "id")],
  [
    "attack 13: iss unknown, with a slash more or less, in other case, an array or absent",
    /its issuer is not in the policy/,
    claiming("iss", "https://evil.example.org/", `${iss}/`, iss.slice(0, -1), iss.toUpperCase(), ` ${iss}`, `${iss}#`),
    claiming("iss", [iss], { iss }, "sso", "", null, 7, true, undefined, "__proto__", "undefined", `${b}/`),
  ],
  [
    "attack 15: aud of others, absent, of Keycloak's account, a prefix or an object",
    /aud/,
    claiming("aud", "other", "account", "fluo", "fluo-kms2", "fluo-kms ", "FLUO-KMS", "", undefined, null, 7),
    claiming("aud", ["other", "account"], [], ["fluo-kms2"], [["fluo-kms"]], { 0: "fluo-kms" }, "kms-b"),
    claiming("aud", { "fluo-kms": true }),
  ],
  [
    "attack 17: exp absent, text, beyond all numbers or negative",
    any,
    claiming("exp", undefined, null, `${second + 60}`, [second + 60], {}, true, -1, -second),
    numbered("exp", "1e400", "-1e400", "1e300"),
  ],
  ...["nbf", "iat"].map((name): [string, RegExp, string[]] => [
    `attack 18: ${name} in the future beyond the tolerance, or no time`,
    any,
    [...claiming(name, second + 31, second + 1e9, "0", null, [0]), ...numbered(name, "1e400")],
  ]),
  ["attack 18: no iat", any, claiming("iat", undefined)],
  ["attack 18: a JWT-SVID of the future", /issued in the future/, [svidWith({ iat: second + 31 })]],
  [
    "attack 19: a life of more than max-lifetime",
    /max-lifetime/,
    claiming("exp", second + day + 1, second + 365 * day),
    claiming("iat", 0, -1),
    tokenBy(rsa, withClaims({ iat: second - 60, exp: second + day })),
    svidWith({ exp: second + day + 1 }),
    svidWith({ iat: second - 60, exp: second + day }),
  ],
  [
    "attack 20: sub empty, absent, a number, or too long",
    any,
    claiming("sub", "", undefined, null, 7, ["x"], { a: 1 }, "x".repeat(513), "é".repeat(513)),
  ],
  [
    "attack 20: sub with control characters or half of one",
    /sub is no name/,
    claiming("sub", "a\nb", "\n", "a\u0000", "\u007f", "\u0085x", "a\r", "\u001b[2J"),
    claiming("sub", "\ud800", "a\udc00b"),
  ],
  [
    // Nor does an issuer of other tokens vouch for one.
    "attacks 35 and 37: a SPIFFE id that is none, is of no domain of the policy, or of another kind of issuer",
    /its issuer is not in the policy/,
    ["spiffe://example.org/a%2Fb", "spiffe://unknown.org/a", "SPIFFE://example.org/a", "spiffe://", "ingest"]
      .map((sub) => svidWith({ sub }))
      .concat(svidWith({ sub: "ingest", iss: "spiffe://example.org" })),
    claiming("sub", "spiffe://example.org/a%2Fb"),
  ],
  [
    "attack 31: cnf of other than one certificate",
    /cnf is not x5t#S256 alone/,
    claiming("cnf", { jkt: thumbprint }, { "x5t#S256": thumbprint, jkt: thumbprint }, { jwk: rsa.jwk }, {}, null),
    claiming("cnf", "x", 7, [thumbprint], { kid: "x" }, { "x5t#S256": "" }, { "x5t#S256": thumbprint.slice(1) }),
    claiming("cnf", { "x5t#S256": 7 }, { "x5t#S256": `${thumbprint}=` }, { "x5t#S256": [thumbprint] }, false),
    claiming("cnf", { "x5t#s256": thumbprint }),
  ],
])("%s: refused", async (_, reason, ...tokens) => {
  for (const token of tokens.flat()) expect(await refused(token), token.slice(0, 200)).toMatch(reason);
});

it("attack 8: keys at an address in the header are not fetched, and the token is refused", async () => {
  let connections = 0;
  const attacker = createServer((_, response) => response.end(JSON.stringify({ keys: [stranger.jwk] })));
  attacker.on("connection", () => (connections += 1));
  await new Promise<void>((resolve) => attacker.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${(attacker.address() as AddressInfo).port}/jwks`;
  for (const name of ["jku", "x5u"]) {
    for (const key of [stranger, rsa]) {
      expect(await refused(tokenBy(key, claims, { [name]: address }))).toContain(`its header has ${name}`);
    }
  }
  await refused(tokenBy(stranger, withClaims({ iss: address.replace("/jwks", "") })));
  expect(connections).toBe(0);
  await new Promise((resolve) => attacker.close(resolve));
});

it("attack 9: a kid that is a path, a statement or a prototype's name finds no key", async () => {
  for (const kid of ["../../etc/passwd", "' OR 1=1 --", "x".repeat(5_000), "__proto__", "constructor", "", "K"]) {
    for (const key of [rsa, stranger]) {
      const error = await thrownBy(() => verify(tokenBy(key, claims, { kid })));
      expect((error as KmsError).code).toMatch(/^(UNAUTHENTICATED|ISSUER_UNAVAILABLE)$/);
    }
  }
});

describe("the claims of a token that is accepted", () => {
  it.each<[what: string, tokens: string[]]>([
    ["typ of Keycloak's access tokens, or of others", claiming("typ", "Bearer", "access", 7, "IDx")],
    ["an audience among others", claiming("aud", ["other", "fluo-kms"])],
    [
      "any audience of the entry",
      ["kms-b", "fluo-kms", ["kms-b"]].map((aud) => tokenBy(rsaOfB, withClaims({ iss: b, aud }))),
    ],
    ["nbf within the tolerance", claiming("nbf", second + 30)],
    ["iat within the tolerance", [...claiming("iat", second + 30), svidWith({ iat: second + 30 })]],
    ["the longest life", [...claiming("exp", second + day), svidWith({ exp: second + day })]],
  ])("%s", (_, tokens) => accepted(...tokens));

  it("subjects of 512 characters, and any letters", async () => {
    for (const sub of ["x".repeat(512), "😀".repeat(512), "é ü", "a:b|c/d"]) {
      expect((await verify(tokenBy(rsa, withClaims({ sub })))).identity).toMatchObject({ subject: sub });
    }
    const id = `spiffe://example.org/${"a".repeat(491)}`;
    expect((await verify(svidWith({ sub: id }))).identity).toEqual({ kind: "spiffe", id });
  });

  it("attack 31: cnf of a certificate is given back", async () => {
    const cnf = { "x5t#S256": thumbprint };
    for (const token of [...claiming("cnf", cnf), svidWith({ cnf })]) {
      expect((await verify(token)).thumbprint).toBe(thumbprint);
    }
  });

  it("attack 17: exp past the tolerance is told as such where all else is good", async () => {
    const token = tokenBy(rsa, withClaims({ iat: second - 600, exp: second }));
    await accepted(token);
    expect((await verify(token, startMs + 29_999)).untilMs).toBe(startMs + 30_000);
    expect(await refused(token, "CREDENTIAL_EXPIRED", startMs + 30_000)).toBe(
      `the token has expired: issuer sso, kid "k"`,
    );
    await refused(token, "CREDENTIAL_EXPIRED", startMs + 86_400_000);
    await refused(tokenBy(rsa, withClaims({ iat: 0, exp: 0 })), "CREDENTIAL_EXPIRED");
    await refused(tokenBy(rsa, withClaims({ exp: second, aud: "x" })), "UNAUTHENTICATED", startMs + 30_000);
    await refused(tokenBy(stranger, withClaims({ exp: second })), "UNAUTHENTICATED", startMs + 30_000);
    const fraction = tokenBy(rsa, withClaims({ iat: second - 600, exp: second + 0.5 }));
    expect((await verify(fraction, startMs + 30_999)).untilMs).toBe(startMs + 31_000);
    await refused(fraction, "CREDENTIAL_EXPIRED", startMs + 31_000);
  });
});

it("a key that cannot verify at all refuses, and the log has why", async () => {
  const read = readJwt(good, world.issuers);
  const key = await read.issuer.keys.key(read.kid, read.algorithm);
  const error = await thrownBy(() => verifyJwt(read, { ...key, key: ec.publicKey }, () => startMs));
  expect(error).toBeKmsError("UNAUTHENTICATED", "the token is not accepted");
  expect(error).toHaveProperty("inLog", expect.stringContaining('issuer sso, kid "k": cannot be verified'));
  expect((error as KmsError).cause).toBeInstanceOf(Error);
});

it("a good token with any byte changed is refused, and no more is fetched than the issuer's keys, once", async () => {
  const bytes = Buffer.from(good);
  await verify(good);
  const before = structuredClone(world.loads);
  world.pass(30_000);
  const random = seeded(7);
  let fetches = 0;
  for (let n = 0; n < 3_000; n += 1) {
    const changed = Buffer.from(bytes);
    for (let times = 1 + (random() % 3); times > 0; times -= 1) changed[random() % changed.length] = random() % 256;
    if (changed.equals(bytes)) continue;
    const error = (await thrownBy(() => verify(changed.toString("latin1")))) as KmsError;
    expect(error.code, `case ${n}`).toMatch(/^(UNAUTHENTICATED|ISSUER_UNAVAILABLE)$/);
    if (error.code === "ISSUER_UNAVAILABLE") fetches = 1;
  }
  expect(world.loads).toEqual({ ...before, sso: before.sso! + fetches });
  expect(await verify(good)).toBeDefined();
});

/** xorshift32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
