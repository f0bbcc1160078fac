/**
 * The keys of a JSON Web Key Set (RFC 7517) that may verify tokens. Only public members are read. A key of another kind
 * is left out. A set without any key that counts, or with one key id for two of them, is refused whole.
 */
import { createPublicKey, type JsonWebKeyInput, type KeyObject } from "node:crypto";
import { hexDigest } from "../../crypto/sha256.ts";
import type { IssuerEntry } from "../policy/trust.ts";

export interface SigningKey {
  readonly kid: string | undefined;
  /** What it may verify, in the names of JWS. */
  readonly algorithms: readonly string[];
  readonly key: KeyObject;
  /** Hash of its public members and algorithm: another key has another one, whatever its key id is. */
  readonly fingerprint: string;
}

export interface SigningKeys {
  readonly keys: readonly SigningKey[];
  /** Key ids in the set, also of keys that do not count: another load would not bring these. */
  readonly kids: ReadonlySet<string>;
  /** Warnings for the issuer's owner, without any part of a key. */
  readonly warnings: readonly string[];
}

/** Value of `use`. `jwt-svid` is of a SPIFFE bundle, in which keys of certificates stand beside those of tokens. */
export type KeyUse = "sig" | "jwt-svid";

/** Use that a key must have for tokens of an issuer's entry. */
export function keyUseOf({ trustDomain }: Pick<IssuerEntry, "trustDomain">): KeyUse {
  return trustDomain === undefined ? "sig" : "jwt-svid";
}

type Jwk = Readonly<Record<string, unknown>>;

export const maxKeys = 100;
/** Kinds of keys that count: their public members, and what they verify. */
const kinds: Readonly<Record<string, { members: readonly string[]; algorithms: readonly string[] }>> = {
  RSA: { members: ["n", "e"], algorithms: ["RS256", "PS256"] },
  "EC P-256": { members: ["crv", "x", "y"], algorithms: ["ES256"] },
  "EC P-384": { members: ["crv", "x", "y"], algorithms: ["ES384"] },
  "EC P-521": { members: ["crv", "x", "y"], algorithms: ["ES512"] },
  "OKP Ed25519": { members: ["crv", "x"], algorithms: ["EdDSA"] },
};

/** Reads a key set. Throws an error for the log if the value is none that can be used. */
export function signingKeys(json: unknown, use: KeyUse): SigningKeys {
  const { keys: given } = Object(json) as { keys?: unknown };
  if (!Array.isArray(given)) throw new Error("is no key set: there is no array of keys");
  if (given.length > maxKeys) throw new Error(`has ${given.length} keys, of at most ${maxKeys}`);
  const jwks = given.filter((each): each is Jwk => typeof each === "object" && each !== null);
  const keys = jwks.map((jwk) => signingKey(jwk, use)).filter((key) => key !== undefined);
  if (keys.length === 0)
    throw new Error(`has no key that counts: use ${use}, RSA of 2048 bits, P-256, Ed25519 or better`);
  const named = keys.map(({ kid }) => kid).filter((kid) => kid !== undefined);
  if (new Set(named).size < named.length) throw new Error("has one key id for two keys");
  const kids = new Set(jwks.map(({ kid }) => kid).filter((kid) => typeof kid === "string"));
  return { keys, kids, warnings: jwks.some(isSecret) ? ["publishes a private or symmetric key"] : [] };
}

/** The keys that may have made a signature; if a key id is given, only the key with it. */
export function keysFor({ keys }: SigningKeys, kid: string | undefined, algorithm: string): readonly SigningKey[] {
  return keys.filter((key) => key.algorithms.includes(algorithm) && (kid === undefined || key.kid === kid));
}

function isSecret(jwk: Jwk): boolean {
  return Object.hasOwn(jwk, "d") || Object.hasOwn(jwk, "k");
}

/** Reads one key; undefined for a key that does not count. */
function signingKey(jwk: Jwk, use: KeyUse): SigningKey | undefined {
  const { kty, crv, kid, alg } = jwk;
  if (!isForTokens(jwk, use) || (kid !== undefined && typeof kid !== "string")) return undefined;
  const kind = [kty, kty === "RSA" ? undefined : crv].filter((each) => typeof each === "string").join(" ");
  if (!Object.hasOwn(kinds, kind)) return undefined;
  const { members, algorithms: all } = kinds[kind]!;
  const algorithms = all.filter((each) => alg === undefined || alg === each);
  const publicJwk = Object.fromEntries(["kty", ...members].map((name) => [name, jwk[name]]));
  const key = publicKey(publicJwk);
  if (key === undefined || algorithms.length === 0) return undefined;
  return { kid, algorithms, key, fingerprint: hexDigest(JSON.stringify([publicJwk, alg])) };
}

function isForTokens({ use: given, key_ops: operations }: Jwk, use: KeyUse): boolean {
  if (given !== use && (use === "jwt-svid" || given !== undefined)) return false;
  return operations === undefined || (Array.isArray(operations) && operations.includes("verify"));
}

/** Imports a key; undefined if it is none, or RSA that is weak (an exponent of 1 verifies anything) or slow. */
function publicKey(key: JsonWebKeyInput["key"]): KeyObject | undefined {
  try {
    const made = createPublicKey({ key, format: "jwk" });
    const { modulusLength: bits = 2048, publicExponent: exponent = 65_537n } = made.asymmetricKeyDetails ?? {};
    return bits >= 2048 && bits <= 8192 && exponent >= 65_537n && exponent % 2n === 1n ? made : undefined;
  } catch {
    return undefined;
  }
}
