/**
 * What a record says of its secret without giving it away: of a signing key the Ed25519 public key, of a data key
 * `HKDF-Expand-SHA-512(key, "fluo-kms/v1/check", 32)`. A provider that gives back another key than it wrapped is found out by it, before
 * anything is encrypted under that key, or wrapped in place of the right one.
 */
import { timingSafeEqual } from "node:crypto";
import { publicKeyOf } from "../crypto/ed25519.ts";
import { hkdfExpand } from "../crypto/hkdf.ts";
import { KmsError } from "../errors.ts";
import type { KeyRecord, Purpose } from "../store/key-record.ts";

const checkBytes = 32;

export function publicPartOf(purpose: Purpose, secret: Uint8Array): Uint8Array {
  if (purpose === "signing") return publicKeyOf(secret);
  const check = new Uint8Array(checkBytes);
  hkdfExpand(secret, [Buffer.from("fluo-kms/v1/check")], check);
  return check;
}

/** Throws DATA_LOSS where it is not. Data keys that were made before there was a check have none, and pass. */
export function refuseOtherSecret({ keyId, purpose, publicKey }: KeyRecord, secret: Uint8Array): void {
  if (purpose === "data" && publicKey.length === 0) return;
  if (publicKey.length === checkBytes && timingSafeEqual(publicPartOf(purpose, secret), publicKey)) return;
  throw new KmsError("DATA_LOSS", `key ${keyId}: what was opened is another key than its record is of`);
}
