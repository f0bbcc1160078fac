/**
 * The entries of a log: in-toto Statements v1 in RFC 8785 form. Of a span as in statement.ts, but without a key, because a checkpoint's key
 * signs for it; and of a handover, which names the signing key that follows another.
 */
import { hash } from "node:crypto";
import { predicateType, signedAtMs } from "./statement.ts";
import { parseVerifierKey } from "../tlog/verifier-key.ts";

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

/** The parts of a span's entry, or undefined for bytes that `buildLogStatement` cannot have written. */
export function parseLogStatement(entry: Uint8Array): LogStatementParts | undefined {
  const parts = partsOf<LogStatementParts>(entry, logStatement);
  return parts !== undefined && buildLogStatement(parts) === textOf(entry) ? parts : undefined;
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

/** The parts of a handover's entry, or undefined for bytes that `buildHandover` cannot have written, or whose vkey and digest differ. */
export function parseHandover(entry: Uint8Array): HandoverParts | undefined {
  const parts = partsOf<HandoverParts>(entry, handover);
  const key = parts && parseVerifierKey(parts.toVkey);
  if (key === undefined || hash("sha256", key.publicKey) !== parts!.toKeyDigest) return undefined;
  return buildHandover(parts!) === textOf(entry) ? parts : undefined;
}

const maxEntryBytes = 4096;

// The parts that vary, each in its own form; what is between them is checked by writing the entry again.
const [tenant, signedAt] = [
  '"tenant":"(?<tenant>[a-z0-9][a-z0-9._-]{0,62})"',
  '"signedAt":"(?<signedAt>[0-9TZ:.-]{24})"',
];
const [digest, keyId] = ["[0-9a-f]{64}", "[0-9a-f]{32}"];
const logStatement = new RegExp(
  `${signedAt},${tenant}.*"sha256":"(?<digest>${digest})"\\},"name":"(?<traceId>[0-9a-f]{32})/(?<spanId>[0-9a-f]{16})"`,
);
const handover = new RegExp(
  `"fromKeyId":"(?<fromKeyId>${keyId})",${signedAt},${tenant},"toKeyId":"(?<toKeyId>${keyId})","toVkey":"(?<toVkey>[!#-\\[\\]-~]+)"` +
    `.*"sha256":"(?<toKeyDigest>${digest})"`,
);

function partsOf<Parts extends { signedAt: string }>(entry: Uint8Array, form: RegExp): Parts | undefined {
  if (entry.length > maxEntryBytes) return undefined;
  const groups = form.exec(textOf(entry))?.groups as unknown as Parts | undefined;
  return groups !== undefined && signedAtMs(groups.signedAt) !== undefined ? { ...groups } : undefined;
}

function textOf(entry: Uint8Array): string {
  return Buffer.from(entry).toString("latin1");
}
