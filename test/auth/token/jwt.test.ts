import { createPublicKey, generateKeyPairSync, hash } from "node:crypto";
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
  type TestKey,
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

/** Refused because of its signature, or for want of a key, and for nothing else. */
async function forged(token: string): Promise<void> {
  expect(await refused(token)).toMatch(/ERR_JWS_SIGNATURE_VERIFICATION_FAILED|no such key|not listed/);
}

describe("a good token", () => {
  it.each([rsa, ec, ed])("of $alg proves its subject, with its claims", async (key) => {
    const found = await verify(tokenBy(key, withClaims({ roles: ["a"], scope: "x y" })));
    expect(found).toEqual({
      identity: {
        kind: "jwt",
        issuer: "sso",
        subject: "ingest",
        claims: withClaims({ roles: ["a"], scope: "x y" }),
      },
      untilMs: startMs + 630_000,
      issuer: world.issuers.byIssuer("https://a.example.org/"),
      key: expect.stringMatching(/^[0-9a-f]{64}$/),
      thumbprint: undefined,
    });
    expect(found.issuer.keys.has(found.key)).toBe(true);
  });

  it("of RFC 9068, its type in any case, or with none", async () => {
    for (const typ of ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT", "JOSE", undefined]) {
      expect((await verify(tokenBy(rsa, claims, { typ }))).issuer.entry.name).toBe("sso");
    }
    expect(await verify(tokenBy(rsa, claims, { x5t: "abc", "x5t#S256": "def" }))).toBeDefined();
  });

  it("may have a kid or not, where one key fits", async () => {
    expect(await verify(tokenBy(ec, claims, { kid: undefined }))).toBeDefined();
    expect(
      await verify(tokenBy(rsaOfB, withClaims({ iss: "https://b.example.org" }), { kid: undefined })),
    ).toBeDefined();
  });

  it("may be of PS256 and, where the policy lists it, ES512", async () => {
    const [ps, es] = [testKey("PS256", "p"), testKey("ES512", "x")];
    const entry = { name: "sso", issuer: "https://a.example.org/", audience: "fluo-kms" };
    for (const [algorithms, ok] of [
      [
        ["PS256", "ES512"],
        [ps, es],
      ],
      [undefined, [ps]],
    ] as const) {
      const issuer = { ...entry, ...(algorithms && { algorithms }) };
      const other = worldOf([issuer], { sso: { keys: [ps.jwk, es.jwk] } });
      for (const key of [ps, es]) {
        const identified = other.identify(tokenBy(key, claims)).then(
          () => true,
          () => false,
        );
        expect(await identified).toBe((ok as readonly TestKey[]).includes(key));
      }
      other.close();
    }
  });

  it("proves a SPIFFE id where it is a JWT-SVID, of which iss and iat are not asked", async () => {
    for (const changed of [{}, { iss: "https://anybody.example.org" }, { iss: 7 }, { iat: second - 60 }]) {
      const { identity, untilMs } = await verify(tokenBy(svid, { ...svidClaims, ...changed }));
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
    expect(await verify(twin)).toBeDefined();
  });
});

describe("the algorithm of a token", () => {
  it("attack 2: none is refused, in any case, with an empty signature and with another's", async () => {
    for (const alg of ["none", "None", "NONE", "nOnE", ""]) {
      await refused(`${part({ alg, kid: "k" })}.${part(claims)}.`);
      await refused(tokenBy(rsa, claims, { alg }));
      await refused(`${part({ alg })}.${part(claims)}.AA`);
    }
    for (const alg of [undefined, null, 7, ["RS256"], { alg: "RS256" }]) {
      expect(await refused(tokenBy(rsa, claims, { alg }))).toContain("alg is no text");
    }
    await refused(`${good.split(".").slice(0, 2).join(".")}.`);
  });

  it("attack 3: HS256 with the RSA public key as secret is refused, whatever form of it", async () => {
    const spki = rsa.publicKey.export({ type: "spki", format: "der" });
    const pem = rsa.publicKey.export({ type: "spki", format: "pem" }) as string;
    const secrets = [
      ...[pem, pem.trim(), spki, rsa.publicKey.export({ type: "pkcs1", format: "pem" }) as string],
      ...[rsa.publicKey.export({ type: "pkcs1", format: "der" }), JSON.stringify(rsa.jwk), ""],
      ...[Buffer.from(rsa.jwk.n as string, "base64url"), rsa.jwk.n as string],
    ];
    for (const secret of secrets) {
      for (const header of [{ alg: "HS256", kid: "k" }, { alg: "HS256" }, { alg: "RS256", kid: "k" }]) {
        await forged(signed(header, claims, hmacBy(secret)));
      }
    }
  });

  it("attack 4: changed to another than the key's, or one that is not listed, is refused", async () => {
    for (const alg of ["PS256", "ES256", "EdDSA", "RS512", "RS384", "HS256", "rs256", "RS256 "]) {
      await forged(tokenBy(rsa, claims, { alg }));
    }
    await forged(signed({ alg: "RS512", kid: "k" }, claims, signatureBy({ ...rsa, alg: "RS512" })));
    await forged(signed({ alg: "PS256", kid: "k" }, claims, signatureBy({ ...rsa, alg: "PS256" })));
    expect(await refused(tokenBy({ ...rsaOfB, alg: "PS256" }, withClaims({ iss: "https://b.example.org" })))).toContain(
      'issuer other, kid "k": alg is not listed',
    );
    await forged(tokenBy(ed, claims, { alg: "Ed25519" }));
  });

  it("attack 5: an ES256 signature of zeros, in DER, or with r or s of 0 or beyond the order is refused", async () => {
    const order = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex");
    const zero = Buffer.alloc(32);
    const forge = (change: (signature: Buffer) => Uint8Array) =>
      forged(signed({ alg: "ES256", kid: "e" }, claims, (input) => change(signatureBy(ec)(input))));
    await forge(() => Buffer.alloc(64));
    await forge((s) => Buffer.concat([zero, s.subarray(32)]));
    await forge((s) => Buffer.concat([s.subarray(0, 32), zero]));
    await forge((s) => Buffer.concat([order, s.subarray(32)]));
    await forge((s) => Buffer.concat([s.subarray(0, 32), order]));
    await forge(() => Buffer.concat([order, order]));
    await forge((s) => s.subarray(0, 63));
    await forge((s) => Buffer.concat([s, Buffer.of(0)]));
    await forge((s) => {
      const number = (bytes: Buffer) => {
        const value = bytes[0]! >= 128 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
        return Buffer.concat([Buffer.of(2, value.length), value]);
      };
      const both = Buffer.concat([number(s.subarray(0, 32)), number(s.subarray(32))]);
      return Buffer.concat([Buffer.of(0x30, both.length), both]);
    });
  });

  it("attack 6: EdDSA by a key of low order in the token is refused", async () => {
    const lowOrder = ["", "01", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"];
    for (const hex of lowOrder) {
      const x = Buffer.from(hex.padEnd(64, "0"), "hex");
      const jwk = { kty: "OKP", crv: "Ed25519", x: x.toString("base64url") };
      const zeros = () => Buffer.concat([x, Buffer.alloc(32)]);
      expect(await refused(signed({ alg: "EdDSA", kid: "d", jwk }, claims, zeros))).toContain("its header has jwk");
      await forged(signed({ alg: "EdDSA", kid: "d" }, claims, zeros));
    }
  });
});

describe("keys that a token brings", () => {
  const stranger = testKey("RS256", "k");

  it("attack 7: in the header, and signed by them, are refused", async () => {
    await forged(tokenBy(stranger, claims));
    expect(await refused(tokenBy(stranger, claims, { jwk: stranger.jwk }))).toContain("its header has jwk");
    expect(await refused(tokenBy(stranger, claims, { x5c: ["MIIB"] }))).toContain("its header has x5c");
    // The good key does not make them good.
    await refused(tokenBy(rsa, claims, { jwk: rsa.jwk }));
    await refused(tokenBy(rsa, claims, { jwk: null }));
    await refused(tokenBy(rsa, claims, { x5c: [] }));
  });

  it("attack 8: at an address in the header are not fetched, and the token is refused", async () => {
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

  it("attack 9: by a kid that is a path, a statement, a prototype's name or no text are refused", async () => {
    for (const kid of ["../../etc/passwd", "' OR 1=1 --", "x".repeat(5_000), "__proto__", "constructor", "", "K"]) {
      for (const key of [rsa, stranger]) {
        const error = await thrownBy(() => verify(tokenBy(key, claims, { kid })));
        expect((error as KmsError).code).toMatch(/^(UNAUTHENTICATED|ISSUER_UNAVAILABLE)$/);
      }
    }
    for (const kid of [7, 0, null, ["k"], { kid: "k" }, true]) {
      expect(await refused(tokenBy(rsa, claims, { kid }))).toContain("kid is no text");
    }
  });

  it("attack 14: of one issuer do not make another's token, with the same kid", async () => {
    const b = "https://b.example.org";
    expect(await verify(tokenBy(rsaOfB, withClaims({ iss: b })))).toBeDefined();
    await forged(tokenBy(rsa, withClaims({ iss: b })));
    await forged(tokenBy(rsaOfB, claims));
    await forged(tokenBy(svidOfOther, svidClaims));
    await forged(tokenBy(svid, { ...svidClaims, sub: "spiffe://b.org/x" }));
  });
});

describe("the form of a token", () => {
  it("attack 10: crit and b64 are refused, whatever they say", async () => {
    for (const header of [
      { crit: ["b64"], b64: true },
      { crit: ["b64"], b64: false },
      { crit: ["exp"] },
      { crit: [] },
      { crit: null },
      { b64: false },
      { b64: true },
    ]) {
      expect(await refused(tokenBy(rsa, claims, header))).toMatch(/its header has (crit|b64)/);
    }
  });

  it("attack 11: JWE, a token in a token and what is compressed are refused", async () => {
    await refused(`${part({ alg: "RSA-OAEP", enc: "A256GCM" })}.a2V5.aXY.dGV4dA.dGFn`);
    for (const token of [`${good}.aXY.dGFn`, `${good}.aXY`]) {
      expect(await refused(token)).toContain("no signed JWT");
    }
    await refused(tokenBy(rsa, claims, { enc: "A256GCM" }));
    await refused(tokenBy(rsa, claims, { zip: "DEF" }));
    await refused(tokenBy(rsa, claims, { cty: "JWT" }));
    await refused(tokenBy(rsa, good, { cty: "JWT" }));
    await refused(tokenBy(rsa, good));
  });

  it("attack 12: another serialisation, or another spelling of the same bytes, is refused", async () => {
    const [header, payload, signature] = good.split(".") as [string, string, string];
    for (const token of [
      JSON.stringify({ protected: header, payload, signature }),
      JSON.stringify({ payload, signatures: [{ protected: header, signature }] }),
      ...[`${good}.`, `.${good}`, `${good}=`, `${good}==`, ` ${good}`, `${good} `, `${good}\n`, `${good}.x`],
      ...[`${header}=.${payload}.${signature}`, `${header}\n.${payload}.${signature}`],
      ...[`${header}.${payload}`, `${header}..${signature}`, header, "", "..", "..."],
    ]) {
      await refused(token);
    }
    // The last character of 256 bytes in base64url has 4 bits that say nothing.
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const twin = alphabet[alphabet.indexOf(signature.at(-1)!) + 1]!;
    const other = `${header}.${payload}.${signature.slice(0, -1)}${twin}`;
    expect(Buffer.from(other.split(".")[2]!, "base64url")).toEqual(Buffer.from(signature, "base64url"));
    expect(await refused(other)).toContain("no signed JWT");
    const standard = good.replaceAll("-", "+").replaceAll("_", "/");
    expect(standard).not.toBe(good);
    await refused(standard);
  });

  it("attack 21: a member twice in header or claims is refused, though signed", async () => {
    const text = JSON.stringify(claims);
    const header = JSON.stringify({ alg: "RS256", kid: "k" });
    for (const [first, other] of [
      [header, text.replace('"sub":', '"sub":"admin","sub":')],
      [header, text.replace('"sub":', '"s\\u0075b":"admin","sub":')],
      [header, text.replace("}", ',"aud":"fluo-kms"}')],
      [header.replace("{", '{"alg":"none",'), text],
      [header.replace("{", '{"kid":"k",'), text],
    ] as const) {
      await refused(signed(first, other, signatureBy(rsa)));
    }
    const deep = JSON.stringify(withClaims({ deep: 0 })).replace('"deep":0', '"deep":{"a":1,"a":2}');
    await refused(signed(header, deep, signatureBy(rsa)));
  });

  it("may spell names of claims with escapes, and no name of the header", async () => {
    const escaped = JSON.stringify(withClaims({ "caf\u00e9": "x/y" }))
      .replace("\u00e9", "\\u00e9")
      .replace("sub", "s\\u0075b");
    const header = JSON.stringify({ alg: "RS256", kid: "k" });
    const { identity } = await verify(signed(header, escaped, signatureBy(rsa)));
    expect(identity).toMatchObject({ subject: "ingest", claims: { "caf\u00e9": "x/y" } });
    const kid = header.replace("kid", "k\\u0069d");
    expect(await refused(signed(kid, escaped, signatureBy(rsa)))).toContain(
      "a name in its header is spelt with an escape",
    );
  });

  it("is JSON objects in UTF-8", async () => {
    const header = { alg: "RS256", kid: "k" };
    for (const text of ["[]", "null", '"text"', "", "7", "{", `${JSON.stringify(claims)}x`]) {
      await refused(signed(header, text, signatureBy(rsa)));
      await refused(signed(text, claims, signatureBy(rsa)));
    }
    const input = `${part(header)}.${Buffer.from(JSON.stringify(withClaims({ sub: "é" })), "latin1").toString("base64url")}`;
    await refused(`${input}.${signatureBy(rsa)(Buffer.from(input)).toString("base64url")}`);
  });

  it("attack 16: ID tokens, logout tokens, proofs and events are refused", async () => {
    for (const typ of [
      "logout+jwt",
      "dpop+jwt",
      "secevent+jwt",
      "JWE",
      "",
      "jwt2",
      "xjwt",
      "application/",
      7,
      null,
      ["JWT"],
    ]) {
      expect(await refused(tokenBy(rsa, claims, { typ }))).toContain("of another type");
    }
    for (const name of ["nonce", "at_hash", "c_hash", "s_hash", "events"]) {
      for (const value of ["x", null, {}]) {
        expect(await refused(tokenBy(rsa, withClaims({ [name]: value })))).toContain(`the claim ${name}`);
      }
    }
    for (const typ of ["ID", "Refresh", "Offline", "Logout", "id"]) {
      expect(await refused(tokenBy(rsa, withClaims({ typ })))).toContain("no access token");
    }
    for (const typ of ["Bearer", "access", 7, "IDx"])
      expect(await verify(tokenBy(rsa, withClaims({ typ })))).toBeDefined();
  });
});

describe("the claims of a token", () => {
  it("attack 13: iss unknown, with a slash more or less, in other case, an array or absent is refused", async () => {
    const iss = "https://a.example.org/";
    for (const other of [
      ...["https://evil.example.org/", `${iss}/`, iss.slice(0, -1), iss.toUpperCase(), ` ${iss}`, `${iss}#`, "sso", ""],
      ...[[iss], { iss }, null, 7, true, undefined, "__proto__", "undefined", "https://b.example.org/"],
    ]) {
      expect(await refused(tokenBy(rsa, withClaims({ iss: other })))).toContain("its issuer is not in the policy");
    }
  });

  it("attack 15: aud of others, absent, of Keycloak's account, a prefix or an object is refused", async () => {
    for (const aud of [
      ...["other", "account", "fluo", "fluo-kms2", "fluo-kms ", "FLUO-KMS", "", undefined, null, 7],
      ...[["other", "account"], [], ["fluo-kms2"], [["fluo-kms"]], { 0: "fluo-kms" }, { "fluo-kms": true }, "kms-b"],
    ]) {
      expect(await refused(tokenBy(rsa, withClaims({ aud })))).toContain("aud");
    }
    expect(await verify(tokenBy(rsa, withClaims({ aud: ["other", "fluo-kms"] })))).toBeDefined();
    for (const aud of ["kms-b", "fluo-kms", ["kms-b"]]) {
      expect(await verify(tokenBy(rsaOfB, withClaims({ iss: "https://b.example.org", aud })))).toBeDefined();
    }
  });

  it("attack 17: exp past the tolerance is told as such where all else is good", async () => {
    const token = tokenBy(rsa, withClaims({ iat: second - 600, exp: second }));
    expect(await verify(token, startMs)).toBeDefined();
    expect((await verify(token, startMs + 29_999)).untilMs).toBe(startMs + 30_000);
    expect(await refused(token, "CREDENTIAL_EXPIRED", startMs + 30_000)).toBe(
      `the token has expired: issuer sso, kid "k"`,
    );
    await refused(token, "CREDENTIAL_EXPIRED", startMs + 86_400_000);
    await refused(tokenBy(rsa, withClaims({ exp: second, aud: "x" })), "UNAUTHENTICATED", startMs + 30_000);
    await refused(tokenBy(testKey("RS256", "k"), withClaims({ exp: second })), "UNAUTHENTICATED", startMs + 30_000);
    const fraction = tokenBy(rsa, withClaims({ iat: second - 600, exp: second + 0.5 }));
    expect((await verify(fraction, startMs + 30_999)).untilMs).toBe(startMs + 31_000);
    await refused(fraction, "CREDENTIAL_EXPIRED", startMs + 31_000);
  });

  it("attack 17: exp absent, text, beyond all numbers or negative is refused", async () => {
    for (const exp of [undefined, null, `${second + 60}`, [second + 60], {}, true, -1, -second]) {
      await refused(tokenBy(rsa, withClaims({ exp })));
    }
    for (const exp of ["1e400", "-1e400", "1e300"]) {
      const text = JSON.stringify(withClaims({ exp: 0 })).replace('"exp":0', `"exp":${exp}`);
      await refused(signed({ alg: "RS256", kid: "k" }, text, signatureBy(rsa)));
    }
    await refused(tokenBy(rsa, withClaims({ iat: 0, exp: 0 })), "CREDENTIAL_EXPIRED");
  });

  it("attack 18: nbf or iat in the future beyond the tolerance is refused", async () => {
    for (const name of ["nbf", "iat"]) {
      expect(await verify(tokenBy(rsa, withClaims({ [name]: second + 30 })))).toBeDefined();
      for (const value of [second + 31, second + 1e9, "0", null, [0]]) {
        await refused(tokenBy(rsa, withClaims({ [name]: value })));
      }
      const text = JSON.stringify(withClaims({ [name]: 0 })).replace(`"${name}":0`, `"${name}":1e400`);
      await refused(signed({ alg: "RS256", kid: "k" }, text, signatureBy(rsa)));
    }
    expect(await verify(tokenBy(svid, { ...svidClaims, iat: second + 30 }))).toBeDefined();
    expect(await refused(tokenBy(svid, { ...svidClaims, iat: second + 31 }))).toContain("issued in the future");
    await refused(tokenBy(rsa, withClaims({ iat: undefined })));
  });

  it("attack 19: a life of more than max-lifetime is refused", async () => {
    const day = 86_400;
    expect(await verify(tokenBy(rsa, withClaims({ exp: second + day })))).toBeDefined();
    for (const changed of [
      { exp: second + day + 1 },
      { exp: second + 365 * day },
      { iat: second - 60, exp: second + day },
      { iat: 0 },
      { iat: -1 },
    ]) {
      expect(await refused(tokenBy(rsa, withClaims(changed)))).toContain("max-lifetime");
    }
    expect(await verify(tokenBy(svid, { ...svidClaims, exp: second + day }))).toBeDefined();
    expect(await refused(tokenBy(svid, { ...svidClaims, exp: second + day + 1 }))).toContain("max-lifetime");
    expect(await refused(tokenBy(svid, { ...svidClaims, iat: second - 60, exp: second + day }))).toContain(
      "max-lifetime",
    );
  });

  it("attack 20: sub empty, absent, a number, too long, or with control characters is refused", async () => {
    for (const sub of ["", undefined, null, 7, ["x"], { a: 1 }, "x".repeat(513), "é".repeat(513)]) {
      await refused(tokenBy(rsa, withClaims({ sub })));
    }
    for (const sub of ["a\nb", "\n", "a\u0000", "\u007f", "\u0085x", "a\r", "\u001b[2J", "\ud800", "a\udc00b"]) {
      expect(await refused(tokenBy(rsa, withClaims({ sub })))).toContain("sub is no name");
    }
    for (const sub of ["x".repeat(512), "😀".repeat(512), "é ü", "a:b|c/d"]) {
      expect((await verify(tokenBy(rsa, withClaims({ sub })))).identity).toMatchObject({ subject: sub });
    }
  });

  it("attack 35: a SPIFFE id that is none is refused", async () => {
    for (const id of [
      ...["spiffe://example.org", "spiffe://example.org/", "spiffe://example.org/a/", "spiffe://example.org//a"],
      ...["spiffe://example.org/a%2Fb", "spiffe://example.org/a?x", "spiffe://example.org/a#x", "spiffe:///a"],
      ...["spiffe://example.org/./a", "spiffe://example.org/../a", "spiffe://example.org/a/..", "spiffe://"],
      ...["spiffe://example.org:443/a", "spiffe://u@example.org/a", "spiffe://EXAMPLE.org/a", "spiffe://éxample.org/a"],
      ...["spiffe://example.org/é", "spiffe://example.org/a b", `spiffe://example.org/${"a".repeat(2_048)}`],
      ...["spiffe://unknown.org/a", "SPIFFE://example.org/a", "spiffe:/example.org/a", " spiffe://example.org/a"],
      ...["spiffe://example.org/a\n", "spiffe://example.org.evil.org/a"],
    ]) {
      await refused(tokenBy(svid, { ...svidClaims, sub: id }));
      // Nor does an issuer of other tokens vouch for it.
      if (id.startsWith("spiffe://")) await refused(tokenBy(rsa, withClaims({ sub: id })));
    }
    const longest = `spiffe://example.org/${"a".repeat(491)}`;
    expect((await verify(tokenBy(svid, { ...svidClaims, sub: longest }))).identity).toEqual({
      kind: "spiffe",
      id: longest,
    });
  });

  it("attack 37: a SPIFFE id is vouched for by its trust domain's keys for tokens alone", async () => {
    await refused(tokenBy(rsa, withClaims({ sub: "spiffe://example.org/a" })));
    await forged(tokenBy(ec, svidClaims, { kid: "e" }));
    expect(await refused(tokenBy(svid, withClaims({ sub: "ingest", iss: "spiffe://example.org" })))).toContain(
      "policy",
    );
  });

  it("attack 31: cnf of a certificate is given back, and any other refuses", async () => {
    const thumbprint = Buffer.alloc(32, 7).toString("base64url");
    const bound = (cnf: unknown) => tokenBy(rsa, withClaims({ cnf }));
    expect((await verify(bound({ "x5t#S256": thumbprint }))).thumbprint).toBe(thumbprint);
    expect((await verify(tokenBy(svid, { ...svidClaims, cnf: { "x5t#S256": thumbprint } }))).thumbprint).toBe(
      thumbprint,
    );
    for (const cnf of [
      ...[{ jkt: thumbprint }, { "x5t#S256": thumbprint, jkt: thumbprint }, { jwk: rsa.jwk }, { kid: "x" }, {}, null],
      ...["x", 7, [thumbprint], { "x5t#S256": "" }, { "x5t#S256": thumbprint.slice(1) }, { "x5t#S256": 7 }],
      ...[{ "x5t#S256": `${thumbprint}=` }, { "x5t#S256": [thumbprint] }, { "x5t#s256": thumbprint }, false],
    ]) {
      expect(await refused(bound(cnf))).toContain("cnf is not x5t#S256 alone");
    }
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

it("attack 30a: a token by a key that does not count is refused", async () => {
  const small = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const weak = [
    testKey("ES256", "enc", { use: "enc" }),
    testKey("ES256", "sign", { key_ops: ["sign"] }),
    {
      ...small,
      kid: "small",
      alg: "RS256" as const,
      jwk: { ...small.publicKey.export({ format: "jwk" }), kid: "small" },
    },
  ];
  const one = testKey("RS256", "one");
  const { n } = one.jwk as { n: string };
  const keys: Json[] = [
    rsa.jwk,
    ...weak.map(({ jwk }) => jwk),
    { kty: "RSA", kid: "one", use: "sig", alg: "RS256", n, e: "AQ" },
  ];
  keys.push({ kty: "oct", kid: "oct", k: Buffer.from("secret").toString("base64url"), alg: "HS256", use: "sig" });
  keys.push({ kty: "EC", crv: "P-192", kid: "p192", x: "AAAA", y: "AAAA", use: "sig" });
  const entry = { name: "sso", issuer: "https://a.example.org/", audience: "fluo-kms" };
  const other = worldOf([entry], { sso: { keys } });
  expect(await other.identify(good)).toBeDefined();
  // With an exponent of 1 a signature is its own padded digest: anybody can make one.
  const padded = (input: Buffer) => {
    const digest = Buffer.from(hash("sha256", input), "hex");
    const prefix = Buffer.from("3031300d060960864801650304020105000420", "hex");
    const filling = Buffer.alloc(256 - 3 - prefix.length - digest.length, 0xff);
    return Buffer.concat([Buffer.of(0, 1), filling, Buffer.of(0), prefix, digest]);
  };
  const asOne = createPublicKey({ key: { kty: "RSA", n, e: "AQ" }, format: "jwk" });
  expect(asOne.asymmetricKeyDetails?.publicExponent).toBe(1n);
  for (const token of [
    ...weak.map((key) => tokenBy(key, claims)),
    signed({ alg: "RS256", kid: "one" }, claims, padded),
    signed({ alg: "HS256", kid: "oct" }, claims, hmacBy("secret")),
    signed({ alg: "ES256", kid: "p192" }, claims, () => Buffer.alloc(48, 1)),
  ]) {
    await expect(other.identify(token)).rejects.toBeKmsError("UNAUTHENTICATED");
  }
  expect(other.loads.sso).toBe(1);
  other.close();
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
