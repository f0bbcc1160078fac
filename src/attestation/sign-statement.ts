/** Signs a span: digest of the canonical form, statement, Ed25519 over its DSSE encoding; and the attributes that carry the result. */
import type { ReadSpan } from "../otlp/canonical.ts";
import { hexDigest } from "../crypto/sha256.ts";
import { integrityKeys } from "../otlp/integrity-attributes.ts";
import { buildStatement, formatSignedAt, encodeStatement } from "./statement.ts";

/** The algorithm's name in `audit.integrity.algorithm`. */
export const algorithm = "EdDSA";

export interface Signer {
  /** The tenant, by whose key and in whose name. */
  tenant: string;
  keyId: string;
  key: { sign(message: Uint8Array): Uint8Array };
}

export interface SignedSpan {
  /** The statement's exact bytes. */
  statement: Uint8Array;
  /** 64 bytes. */
  signature: Uint8Array;
  signedAt: string;
}

/** The digest that a statement makes about a span, in hex. */
export function spanDigest(span: ReadSpan): string {
  return hexDigest(span.canonical);
}

export function signSpan(span: ReadSpan, by: Signer, signedAtMs: number): SignedSpan {
  const { traceId, spanId } = span;
  const signedAt = formatSignedAt(signedAtMs);
  const text = buildStatement({
    traceId,
    spanId,
    digest: spanDigest(span),
    tenant: by.tenant,
    keyId: by.keyId,
    signedAt,
  });
  const { message, statement } = encodeStatement(text);
  return { statement, signature: by.key.sign(message), signedAt };
}

/** What to put on the span, as string attributes: algorithm, value, key_id, tenant, signed_at, in this order. */
export function integrityAttributes(
  signed: Pick<SignedSpan, "signature" | "signedAt">,
  by: Pick<Signer, "tenant" | "keyId">,
): [key: string, value: string][] {
  return [
    [integrityKeys.algorithm, algorithm],
    [integrityKeys.value, Buffer.from(signed.signature).toString("base64")],
    [integrityKeys.keyId, by.keyId],
    [integrityKeys.tenant, by.tenant],
    [integrityKeys.signedAt, signed.signedAt],
  ];
}
