/**
 * The entries of a log: in-toto Statements v1 in RFC 8785 form. Of a span as in statement.ts, but without a key, because a checkpoint's key
 * signs for it; and of a handover, which names the signing key that follows another.
 */
import { predicateType } from "./statement.ts";

export interface LogStatementParts {
  /** Lower-case hex. */
  traceId: string;
  spanId: string;
  /** SHA-256 of the canonical form, lower-case hex. */
  digest: string;
  tenant: string;
  /** As `formatSignedAt` writes it. */
  signedAt: string;
}

export const handoverPredicateType = "https://fluo.dev/kms/key-handover/v1";

export interface HandoverParts {
  tenant: string;
  /** 32 lower-case hex digits. */
  fromKeyId: string;
  toKeyId: string;
  /** The new key as a vkey, by the log's origin. */
  toVkey: string;
  /** SHA-256 of the new public key's 32 bytes, lower-case hex. */
  toKeyDigest: string;
  /** As `formatSignedAt` writes it. */
  signedAt: string;
}

const statementType = "https://in-toto.io/Statement/v1";

/** The exact text of a span's entry. Every part is ASCII that JSON does not escape. */
export function buildLogStatement({ traceId, spanId, digest, tenant, signedAt }: LogStatementParts): string {
  return (
    `{"_type":"${statementType}","predicate":{"signedAt":"${signedAt}","tenant":"${tenant}"},` +
    `"predicateType":"${predicateType}","subject":[{"digest":{"sha256":"${digest}"},"name":"${traceId}/${spanId}"}]}`
  );
}

/** The exact text of a handover's entry. */
export function buildHandover(parts: HandoverParts): string {
  const { tenant, fromKeyId, toKeyId, toVkey, toKeyDigest, signedAt } = parts;
  return (
    `{"_type":"${statementType}","predicate":{"fromKeyId":"${fromKeyId}","signedAt":"${signedAt}","tenant":"${tenant}",` +
    `"toKeyId":"${toKeyId}","toVkey":"${toVkey}"},"predicateType":"${handoverPredicateType}",` +
    `"subject":[{"digest":{"sha256":"${toKeyDigest}"},"name":"${toKeyId}"}]}`
  );
}
