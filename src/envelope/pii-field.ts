/** One PII field, from value to token and back, bound to its tenant, its name and the caller's context. */
import { canonicalContext } from "../crypto/encryption-context.ts";
import type { DataKeyMaterial } from "./key-material.ts";
import { maxEnvelopeBytes, openEnvelope, parseEnvelope, type SealingKey, sealEnvelopeInto } from "./envelope.ts";
import { decodeToken, encodeToken } from "./token.ts";

/** Where a value belongs: a token opens nowhere else. */
export interface FieldPlace {
  tenantId: string;
  name: string;
  /** The call's encryption context, by `canonicalPairs`: the same bytes for all its fields. */
  contextPairs: Uint8Array;
}

/** A token that was read and not opened: `keyId` names the key to look for, among the caller's tenant's alone. */
export interface SealedField {
  keyId: string;
  envelope: Uint8Array;
}

/** Of one field at a time, until its token is written. */
const envelope = Buffer.allocUnsafeSlow(maxEnvelopeBytes);

/** The token. Throws INVALID_ARGUMENT for a value of more than 64 KiB. */
export function sealField(key: SealingKey, place: FieldPlace, value: Uint8Array): string {
  return encodeToken(envelope, sealEnvelopeInto(envelope, "pii", key, placeContext(place), value));
}

/** Throws CIPHERTEXT_REJECTED for what cannot be a token. */
export function readToken(token: string): SealedField {
  const envelope = decodeToken(token);
  return { keyId: parseEnvelope("pii", envelope).keyId, envelope };
}

/** The value, which the caller owns and overwrites. Throws CIPHERTEXT_REJECTED for another key or place, and for an edit. */
export function openField(material: DataKeyMaterial, place: FieldPlace, sealed: SealedField): Uint8Array {
  return openEnvelope("pii", material, placeContext(place), sealed.envelope);
}

function placeContext({ tenantId, name, contextPairs }: FieldPlace): Uint8Array {
  return canonicalContext(tenantId, name, contextPairs);
}
