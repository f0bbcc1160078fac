/** A tenant's public keys from a file: the JWKS (RFC 7517) that the service serves, with each key's state and times. */
import type { VerifyingKey } from "../span/verdict.ts";
import { Failure } from "./command.ts";

const states: readonly VerifyingKey["state"][] = [
  "PENDING",
  "ACTIVE",
  "RETIRED",
  "DISABLED",
  "COMPROMISED",
  "DESTROY_SCHEDULED",
  "DESTROYED",
];
const publicKeyBytes = 32;

/** By key id. Throws a Failure that names the member that is wrong. */
export function readKeySet(text: string): ReadonlyMap<string, VerifyingKey> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Failure("the keys file is not JSON; save what /api/kms/tenants/{tenant}/jwks.json answers");
  }
  const entries = (json as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(entries)) throw new Failure('the keys file has no list "keys"; it must be a JWKS');
  const keys = new Map<string, VerifyingKey>();
  for (const [i, entry] of entries.entries()) {
    const { keyId, key } = readKey(entry, `keys[${i}]`);
    if (keys.has(keyId)) throw new Failure(`keys[${i}].kid is there twice; keep one`);
    keys.set(keyId, key);
  }
  return keys;
}

function readKey(entry: unknown, at: string): { keyId: string; key: VerifyingKey } {
  const jwk = (typeof entry === "object" ? (entry ?? {}) : {}) as Record<string, unknown>;
  if (jwk.kty !== "OKP" || jwk.crv !== "Ed25519")
    throw new Failure(`${at} is not an Ed25519 key (kty OKP, crv Ed25519)`);
  const publicKey = typeof jwk.x === "string" ? new Uint8Array(Buffer.from(jwk.x, "base64url")) : undefined;
  if (publicKey?.length !== publicKeyBytes) throw new Failure(`${at}.x must be ${publicKeyBytes} bytes in base64url`);
  if (typeof jwk.kid !== "string" || jwk.kid === "") throw new Failure(`${at}.kid is missing`);
  const state = states.find((known) => known === jwk.state);
  if (state === undefined) throw new Failure(`${at}.state must be one of ${states.join(", ")}`);
  const validFrom = readDate(jwk.valid_from, `${at}.valid_from`);
  const validUntil = readDate(jwk.valid_until, `${at}.valid_until`);
  const compromisedAt = readDate(jwk.compromised_at, `${at}.compromised_at`);
  return { keyId: jwk.kid, key: { publicKey, state, validFrom, validUntil, compromisedAt } };
}

function readDate(value: unknown, at: string): Date | undefined {
  if (value === null || value === undefined) return undefined;
  const date = new Date(typeof value === "string" ? value : Number.NaN);
  if (Number.isNaN(date.getTime())) throw new Failure(`${at} must be a date, or null`);
  return date;
}
