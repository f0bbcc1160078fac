/**
 * Keys of an issuer of tokens, and tokens as it signs them or as somebody forges them: by node:crypto alone, no library
 * for tokens.
 */
import { createHmac, generateKeyPairSync, type KeyObject, sign as signBytes } from "node:crypto";

export type Algorithm = "RS256" | "PS256" | "RS512" | "ES256" | "ES384" | "ES512" | "EdDSA";

export interface TestKey {
  readonly kid: string | undefined;
  readonly alg: Algorithm;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** As an issuer publishes it. */
  readonly jwk: Record<string, unknown>;
}

export type Json = Record<string, unknown>;

const curveOf = { ES256: "P-256", ES384: "P-384", ES512: "P-521" } as const;
const hashOf = { RS256: "sha256", PS256: "sha256", RS512: "sha512", ES256: "sha256", ES384: "sha384", ES512: "sha512" };

export function testKey(alg: Algorithm, kid?: string, members: Json = {}): TestKey {
  const { privateKey, publicKey } = generate(alg);
  const named = { ...(kid !== undefined && { kid }), alg, use: "sig" };
  return { kid, alg, privateKey, publicKey, jwk: { ...publicKey.export({ format: "jwk" }), ...named, ...members } };
}

function generate(alg: Algorithm) {
  if (alg === "EdDSA") return generateKeyPairSync("ed25519");
  if (alg in curveOf) return generateKeyPairSync("ec", { namedCurve: curveOf[alg as keyof typeof curveOf] });
  return generateKeyPairSync("rsa", { modulusLength: 2048 });
}

/** Some keys take long to make: one a test file. */
const made = new Map<string, TestKey>();
export function sharedKey(alg: Algorithm, kid: string): TestKey {
  const name = `${alg} ${kid}`;
  const key = made.get(name) ?? testKey(alg, kid);
  made.set(name, key);
  return key;
}

export function part(value: unknown): string {
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");
}

/** A token of any header and claims, also of such as nobody should sign; text stands for itself. */
export function signed(header: unknown, claims: unknown, sign: (input: Buffer) => Uint8Array): string {
  const input = `${part(header)}.${part(claims)}`;
  return `${input}.${Buffer.from(sign(Buffer.from(input))).toString("base64url")}`;
}

export function signatureBy({ privateKey, alg }: Pick<TestKey, "privateKey" | "alg">): (input: Buffer) => Buffer {
  if (alg === "EdDSA") return (input) => signBytes(null, input, privateKey);
  const pss = { padding: 6, saltLength: 32 };
  const form = alg === "PS256" ? pss : alg.startsWith("ES") ? { dsaEncoding: "ieee-p1363" as const } : {};
  return (input) => signBytes(hashOf[alg], input, { key: privateKey, ...form });
}

export function hmacBy(secret: string | Buffer): (input: Buffer) => Buffer {
  return (input) => createHmac("sha256", secret).update(input).digest();
}

export function tokenBy(key: TestKey, claims: unknown, header: Json = {}): string {
  const all = { alg: key.alg, typ: "JWT", ...(key.kid !== undefined && { kid: key.kid }), ...header };
  return signed(all, claims, signatureBy(key));
}
