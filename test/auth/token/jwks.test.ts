import { generateKeyPairSync } from "node:crypto";
import { compactVerify } from "jose";
import { describe, expect, it } from "vitest";
import { keysFor, type KeyUse, signingKeys } from "../../../src/auth/token/jwks.ts";
import { type Algorithm, sharedKey, testKey, tokenBy } from "../../support/signed-tokens.ts";

const rsa = sharedKey("RS256", "r");
const ec = sharedKey("ES256", "e");
const ed = sharedKey("EdDSA", "d");

/** The ids of keys that count, beside one that always does. */
function counting(jwk: unknown, use: KeyUse = "sig"): (string | undefined)[] {
  const always = { ...ed.jwk, kid: "always", use };
  return signingKeys({ keys: [always, jwk] }, use)
    .keys.map(({ kid }) => kid)
    .filter((kid) => kid !== "always");
}

/** An RSA key of a modulus and exponent that nobody would sign with. */
function rsaOf(bits: number, exponent: bigint): Record<string, unknown> {
  const modulus = (1n << BigInt(bits - 1)) + 0x123457n;
  const text = (number: bigint) => {
    const hex = number.toString(16);
    return Buffer.from(hex.length % 2 ? `0${hex}` : hex, "hex").toString("base64url");
  };
  return { kty: "RSA", kid: "made", alg: "RS256", use: "sig", n: text(modulus), e: text(exponent) };
}

describe("a key of a key set", () => {
  it.each(["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"] as Algorithm[])(
    "counts for %s, and verifies",
    async (alg) => {
      const key = sharedKey(alg, "k");
      const set = signingKeys({ keys: [key.jwk] }, "sig");
      const [found] = keysFor(set, "k", alg);
      expect(found).toMatchObject({ kid: "k", algorithms: [alg] });
      expect(found!.key.type).toBe("public");
      const { payload } = await compactVerify(tokenBy(key, "text"), found!.key);
      expect(Buffer.from(payload).toString()).toBe("text");
      const stranger = testKey(alg, "k");
      await expect(compactVerify(tokenBy(stranger, "text"), found!.key)).rejects.toThrow("signature");
    },
  );

  it("counts without alg for each algorithm of its type, and without use", () => {
    const { alg: _, use: __, ...jwk } = rsa.jwk;
    const set = signingKeys({ keys: [jwk] }, "sig");
    expect(set.keys[0]!.algorithms).toEqual(["RS256", "PS256"]);
    for (const alg of ["RS256", "PS256"]) expect(keysFor(set, "r", alg)).toHaveLength(1);
    for (const alg of ["RS512", "ES256", "EdDSA", "HS256", "none"]) expect(keysFor(set, "r", alg)).toEqual([]);
  });

  it("counts for its own alg alone", () => {
    const set = signingKeys({ keys: [rsa.jwk] }, "sig");
    expect(keysFor(set, "r", "RS256")).toHaveLength(1);
    expect(keysFor(set, "r", "PS256")).toEqual([]);
    expect(counting({ ...rsa.jwk, alg: "RS512" })).toEqual([]);
    expect(counting({ ...rsa.jwk, alg: "RSA-OAEP" })).toEqual([]);
    expect(counting({ ...ec.jwk, alg: "ES384" })).toEqual([]);
    for (const alg of [7, null, "", ["ES256"]]) expect(counting({ ...ec.jwk, alg })).toEqual([]);
  });

  it("attack 30a: counts for signatures alone", () => {
    expect(counting(rsa.jwk)).toEqual(["r"]);
    for (const use of ["enc", "jwt-svid", "x509-svid", "", null, ["sig"]]) {
      expect(counting({ ...rsa.jwk, use })).toEqual([]);
    }
    expect(counting({ ...rsa.jwk, key_ops: ["verify"] })).toEqual(["r"]);
    expect(counting({ ...rsa.jwk, key_ops: ["sign", "verify"] })).toEqual(["r"]);
    for (const operations of [["sign"], [], "verify", { verify: true }, null]) {
      expect(counting({ ...rsa.jwk, key_ops: operations })).toEqual([]);
    }
  });

  it("counts in a SPIFFE bundle for tokens alone", () => {
    expect(counting({ ...rsa.jwk, use: "jwt-svid" }, "jwt-svid")).toEqual(["r"]);
    for (const use of ["x509-svid", "sig", undefined]) expect(counting({ ...rsa.jwk, use }, "jwt-svid")).toEqual([]);
    const { use: _, ...without } = rsa.jwk;
    expect(counting(without, "jwt-svid")).toEqual([]);
  });

  it("attack 30a: of RSA has 2048 to 8192 bits and an odd exponent of at least 65537", () => {
    for (const [bits, exponent] of [
      [2048, 65_537n],
      [8192, 65_537n],
      [2048, 65_539n],
    ] as const) {
      expect(counting(rsaOf(bits, exponent))).toEqual(["made"]);
    }
    for (const [bits, exponent] of [
      [1024, 65_537n],
      [2047, 65_537n],
      [8200, 65_537n],
      [2048, 1n],
      [2048, 3n],
      [2048, 65_535n],
      [2048, 65_536n],
      [2048, 65_538n],
      [2048, 0n],
    ] as const) {
      expect(counting(rsaOf(bits, exponent))).toEqual([]);
    }
  });

  it("attack 30a: of other types and curves does not count", () => {
    const okp = { kty: "OKP", kid: "x", x: ed.jwk.x };
    for (const jwk of [
      { kty: "oct", kid: "x", k: "c2VjcmV0", alg: "HS256" },
      { ...ec.jwk, crv: "P-192" },
      { ...ec.jwk, crv: "secp256k1" },
      { ...ec.jwk, crv: "Ed25519" },
      { ...ec.jwk, crv: "P-384" },
      { ...ec.jwk, kty: "OKP" },
      { ...ec.jwk, crv: ["P-256"] },
      { ...okp, crv: "X25519" },
      { ...okp, crv: "Ed448" },
      { ...okp, crv: "P-256" },
      { ...rsa.jwk, kty: "rsa" },
      { ...rsa.jwk, kty: "__proto__" },
      { ...rsa.jwk, kty: undefined },
      { ...rsa.jwk, kty: { toString: 1 } },
      { ...ec.jwk, kty: "EC P-256", crv: undefined },
      { ...rsa.jwk, n: undefined },
      { ...rsa.jwk, e: 65_537 },
      { ...ec.jwk, y: ec.jwk.x },
      { ...ed.jwk, x: "AA" },
      { ...rsa.jwk, kid: 7 },
      { ...rsa.jwk, kid: null },
      null,
      "key",
      7,
      [],
    ]) {
      expect(counting(jwk)).toEqual([]);
    }
  });

  it("attack 30a: made well on a curve of others does not count", () => {
    const [koblitz, ed448] = [generateKeyPairSync("ec", { namedCurve: "secp256k1" }), generateKeyPairSync("ed448")];
    for (const { publicKey } of [koblitz, ed448]) {
      expect(counting({ ...publicKey.export({ format: "jwk" }), kid: "x", use: "sig" })).toEqual([]);
    }
    // What a key of RSA has of a curve says nothing.
    expect(counting({ ...rsa.jwk, crv: "P-256" })).toEqual(["r"]);
  });

  it("is read by its public members alone; a private or symmetric one is told", () => {
    const secret = { ...rsa.jwk, ...rsa.privateKey.export({ format: "jwk" }) };
    const set = signingKeys({ keys: [secret] }, "sig");
    expect(set.keys[0]!.key.type).toBe("public");
    expect(set.keys[0]!.key.export({ format: "jwk" })).not.toHaveProperty("d");
    expect(set.warnings).toEqual(["publishes a private or symmetric key"]);
    expect(signingKeys({ keys: [rsa.jwk] }, "sig").warnings).toEqual([]);
    expect(signingKeys({ keys: [rsa.jwk, { kty: "oct", k: "c2VjcmV0" }] }, "sig").warnings).toHaveLength(1);
    expect(set.keys[0]!.fingerprint).toBe(signingKeys({ keys: [rsa.jwk] }, "sig").keys[0]!.fingerprint);
  });

  it("has a fingerprint of its own, whatever it is called", () => {
    const fingerprint = (jwk: unknown) => signingKeys({ keys: [jwk] }, "sig").keys[0]!.fingerprint;
    expect(fingerprint({ ...rsa.jwk, kid: "other", use: undefined, x5c: ["x"] })).toBe(fingerprint(rsa.jwk));
    const others = [rsa.jwk, ec.jwk, ed.jwk, testKey("RS256", "r").jwk, { ...rsa.jwk, alg: "PS256" }];
    expect(new Set(others.map(fingerprint)).size).toBe(others.length);
  });
});

describe("a key set", () => {
  it("finds keys by id and algorithm, and all that fit where there is no id", () => {
    const nameless = { ...testKey("ES256").jwk };
    const set = signingKeys({ keys: [rsa.jwk, ec.jwk, nameless, sharedKey("RS256", "r2").jwk] }, "sig");
    expect(keysFor(set, "e", "ES256").map(({ kid }) => kid)).toEqual(["e"]);
    expect(keysFor(set, undefined, "ES256").map(({ kid }) => kid)).toEqual(["e", undefined]);
    expect(keysFor(set, undefined, "RS256").map(({ kid }) => kid)).toEqual(["r", "r2"]);
    expect(keysFor(set, "e", "RS256")).toEqual([]);
    for (const kid of ["", "E", "__proto__", "undefined"]) expect(keysFor(set, kid, "ES256")).toEqual([]);
  });

  it("knows the ids of keys that do not count", () => {
    const { kids } = signingKeys({ keys: [ec.jwk, { ...rsa.jwk, use: "enc" }, { kid: 7 }, { kty: "oct" }] }, "sig");
    expect([...kids]).toEqual(["e", "r"]);
  });

  it("attack 30: that is none, has no key that counts, too many or a kid twice is refused whole", () => {
    const refused = (json: unknown) => expect(() => signingKeys(json, "sig"));
    for (const json of [undefined, null, "", 7, [], {}, { keys: {} }, { keys: "x" }, "<html>", [ec.jwk]]) {
      refused(json).toThrow("no array of keys");
    }
    refused({ keys: [] }).toThrow("no key that counts");
    refused({ keys: [{ ...rsa.jwk, use: "enc" }, null] }).toThrow("no key that counts");
    refused({ keys: [{ ...ec.jwk, kid: "r" }, rsa.jwk] }).toThrow("one key id for two keys");
    refused({ keys: [rsa.jwk, rsa.jwk] }).toThrow("one key id for two keys");
    refused({ keys: Array.from({ length: 101 }, (_, kid) => ({ ...ec.jwk, kid: `${kid}` })) }).toThrow("101 keys");
    const hundred = Array.from({ length: 100 }, (_, kid) => ({ ...ec.jwk, kid: `${kid}` }));
    expect(signingKeys({ keys: hundred }, "sig").keys).toHaveLength(100);
  });

  it("may have an id twice where only one of the two counts, and keys without ids", () => {
    expect(signingKeys({ keys: [ec.jwk, { ...rsa.jwk, kid: "e", use: "enc" }] }, "sig").keys).toHaveLength(1);
    expect(signingKeys({ keys: [testKey("ES256").jwk, testKey("EdDSA").jwk] }, "sig").keys).toHaveLength(2);
  });
});
