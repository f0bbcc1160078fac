/** Signatures that other people made or forged, through the reading of tokens and key sets. */
import { compactVerify } from "jose";
import { describe, expect, it } from "vitest";
import { keysFor, signingKeys } from "../../../src/auth/token/jwks.ts";
import { readJws } from "../../../src/auth/token/jwt.ts";
import { KmsError } from "../../../src/errors.ts";
import { itOnWycheproof } from "../../support/wycheproof.ts";

const algorithms = ["RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"];

/** The payload; undefined where it is refused. */
async function accepted(token: string, jwks: unknown): Promise<string | undefined> {
  try {
    const { algorithm, kid } = readJws(token);
    const [key, second] = keysFor(signingKeys(jwks, "sig"), kid, algorithm);
    if (key === undefined || second !== undefined) return undefined;
    const { payload } = await compactVerify(token, key.key, { algorithms });
    return Buffer.from(payload).toString();
  } catch (error) {
    // Nothing may fail by accident.
    if (error instanceof KmsError || (error instanceof Error && "code" in error)) return undefined;
    if (error instanceof Error && /^has (no key that counts|one key id)/.test(error.message)) return undefined;
    throw error;
  }
}

const joe = '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}';
const joesPart = Buffer.from(joe).toString("base64url");

const vectors = [
  {
    of: "RFC 7515 A.2",
    jwk: {
      kty: "RSA",
      n: "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
      e: "AQAB",
    },
    token: `eyJhbGciOiJSUzI1NiJ9.${joesPart}.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw`,
    payload: joe,
  },
  {
    of: "RFC 7515 A.3",
    jwk: {
      kty: "EC",
      crv: "P-256",
      x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
      y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    },
    token: `eyJhbGciOiJFUzI1NiJ9.${joesPart}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`,
    payload: joe,
  },
  {
    of: "RFC 8037 A.4",
    jwk: { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    token:
      "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    payload: "Example of Ed25519 signing",
  },
];

describe.each(vectors)("the example of $of", ({ jwk, token, payload }) => {
  it("is accepted", async () => {
    expect(await accepted(token, { keys: [jwk] })).toBe(payload);
  });

  it("is refused by another key, and with a character changed", async () => {
    const others = vectors.filter((each) => each.jwk !== jwk).map((each) => each.jwk);
    expect(await accepted(token, { keys: others })).toBeUndefined();
    for (const at of [0, token.indexOf(".") + 1, token.length - 1]) {
      const changed = token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
      expect(await accepted(changed, { keys: [jwk] })).toBeUndefined();
    }
  });
});

interface Group {
  public?: unknown;
  private?: unknown;
  tests: { tcId: number; jws: string; result: string }[];
}

/** The ids of the cases that are accepted. */
async function acceptedOf(groups: unknown): Promise<number[]> {
  const found: number[] = [];
  for (const { tests, ...group } of groups as Group[]) {
    const key = (group.public ?? group.private) as { keys?: unknown };
    for (const { tcId, jws } of tests) {
      if ((await accepted(jws, key.keys === undefined ? { keys: [key] } : key)) !== undefined) found.push(tcId);
    }
  }
  return found;
}

const idsOf = (groups: unknown, result?: string) =>
  (groups as Group[])
    .flatMap(({ tests }) => tests)
    .filter((each) => result === undefined || each.result === result)
    .map(({ tcId }) => tcId);

/**
 * Valid cases that are refused: HS256, HS384, HS512, RS384, RS512, PS384 and PS512 are not listed; the keys of 347 and
 * 351 have an `alg` ES521.
 */
const rightlyRefused = [
  ...[1, 348, 352, 357, 358, 359, 372, 373, 376, 377],
  ...[264, 265, 266, 267, 268, 269, 270, 271],
  ...[320, 321, 322, 323, 325, 326, 327, 328, 346, 350],
  ...[347, 351],
];

itOnWycheproof("Wycheproof's JSON web signatures", "json_web_signature_test.json", async (groups) => {
  const valid = idsOf(groups, "valid");
  const found = await acceptedOf(groups);
  expect(found).toEqual([18, 33, 259, 260, 261, 262, 263, 272, 273, 274, 275, 287, 288, 345, 349, 378]);
  expect([...found, ...rightlyRefused].sort()).toEqual(valid.sort());
  return idsOf(groups);
});

/**
 * 7 is RSA of a bad generator (ROCA): an issuer is trusted to choose its keys. Of the valid ones 2 and 13 to 15 are of
 * HMAC.
 */
itOnWycheproof("Wycheproof's JSON web keys", "json_web_key_test.json", async (groups) => {
  expect(idsOf(groups, "valid")).toEqual([2, 5, 13, 14, 15]);
  expect(await acceptedOf(groups)).toEqual([5, 7]);
  return idsOf(groups);
});
