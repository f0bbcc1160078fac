/**
 * Verifies a span, in two pure halves around the look-up of a key: `claimOf` reads what is claimed, `verdict` judges it.
 *
 * The order of the checks, which is the order of the reasons where several hold: form (MALFORMED, PROOF_INVALID); the tenant and the key
 * (UNKNOWN_KEY); a key that never became active, under which nothing is checked (KEY_STATE); the signature (SIGNATURE_MISMATCH); the span
 * (SPAN_MISMATCH); whether the key was marked as compromised, in whatever state it is (KEY_COMPROMISED), its state and times (KEY_STATE).
 * The signature comes before the state, so that an altered span is called altered whatever became of its key. That tells a caller nothing
 * new: states and public keys of its own tenant are in GetPublicKeys, and another tenant's key is unknown before anything is checked.
 */
import { verifySignature } from "../crypto/ed25519.ts";
import { signatureBytes } from "../crypto/ed25519-contract.ts";
import { canonicalBase64 } from "../encoding/base64.ts";
import type { ReadSpan } from "../otlp/canonical.ts";
import { type Integrity, namesAnotherTenant, wrongAttribute } from "../otlp/integrity-attributes.ts";
import { algorithm, spanDigest } from "./sign-statement.ts";
import {
  buildStatement,
  canonicalSignedAt,
  parseStatement,
  preAuthenticationEncoding,
  signedAtMs,
  type StatementParts,
} from "./statement.ts";
import { logProofAlgorithm } from "../tlog/inclusion-proof.ts";
import { mismatch, type Reason, reasonOfKey, refusal, type Verdict, type VerifyingKey } from "./verdict.ts";
import { type LogClaim, logClaimOfAttributes, logClaimOfStatement } from "./verify-log-proof.ts";

/** A request as its service reads it; `tenantId` and the statements are as they came. */
export interface VerifySpanRequest {
  tenantId: string;
  span: ReadSpan;
  signed: { statement: Uint8Array; signature: Uint8Array } | undefined;
  logProof: { statement: Uint8Array; proof: string } | undefined;
}

/** What is left to judge once the key with `keyId` was looked up, inside the caller's tenant. */
export interface Claim {
  keyId: string;
  signedAt: string;
  statement: Uint8Array;
  signature: Uint8Array;
  /** Whether the statement is about this span. */
  spanMatches: boolean;
  /** What may be why the span does not match. */
  lacks: ReadSpan["lacks"];
}

/** Replicas' clocks may differ by this much, so a signature may be that much older than its key. */
const clockToleranceMs = 60_000;

/**
 * What there is to judge, or the verdict where that needs no key: a signature, for `verdict`, or a place in a log, for `logVerdict`.
 * `tenantId` is the caller's own. Evidence beside the span counts before the attributes on it.
 */
export function claimOf({ tenantId, span, signed, logProof }: VerifySpanRequest): Claim | LogClaim | Verdict {
  if (logProof !== undefined) return logClaimOfStatement(span, logProof, tenantId);
  if (signed !== undefined) return claimOfStatement(span, signed, tenantId);
  if (span.integrity.algorithm === logProofAlgorithm) return logClaimOfAttributes(span, tenantId);
  return claimOfAttributes(span, tenantId);
}

export function isClaim(claim: Claim | LogClaim | Verdict): claim is Claim {
  return "signature" in claim;
}

export function isLogClaim(claim: Claim | LogClaim | Verdict): claim is LogClaim {
  return "leaf" in claim;
}

/** Judges a claim by its key, undefined where the caller's tenant has none of that id. */
export function verdict(claim: Claim, key: VerifyingKey | undefined): Verdict {
  const { keyId, signedAt } = claim;
  if (key === undefined) return refusal("UNKNOWN_KEY", { keyId, signedAt });
  const reason = reasonFor(claim, key);
  const found = { verified: reason === "OK", reason, keyId, keyState: key.state, signedAt };
  if (reason !== "SIGNATURE_MISMATCH" && reason !== "SPAN_MISMATCH") return found;
  return { ...found, message: mismatch(reason, claim.lacks) };
}

function reasonFor(claim: Claim, key: VerifyingKey): Reason {
  if (reasonOfKey(key) === "KEY_STATE") return "KEY_STATE";
  const message = preAuthenticationEncoding(claim.statement);
  if (!verifySignature(key.publicKey, message, claim.signature)) return "SIGNATURE_MISMATCH";
  if (!claim.spanMatches) return "SPAN_MISMATCH";
  if (reasonOfKey(key) !== "OK") return reasonOfKey(key);
  return isWithin(key, signedAtMs(claim.signedAt)!) ? "OK" : "KEY_STATE";
}

function isWithin({ validFrom, validUntil }: VerifyingKey, ms: number): boolean {
  if (validFrom !== undefined && ms < validFrom.getTime() - clockToleranceMs) return false;
  return validUntil === undefined || ms <= validUntil.getTime();
}

/** The statement is given: it must be the canonical text, and then be about this span. */
function claimOfStatement(
  span: ReadSpan,
  signed: NonNullable<VerifySpanRequest["signed"]>,
  tenant: string,
): Claim | Verdict {
  const parts = parseStatement(signed.statement);
  if (parts === undefined)
    return refusal("MALFORMED", {
      message: "signed_statement.statement must be the exact text that SignSpan returned",
    });
  if (signed.signature.length !== signatureBytes)
    return refusal("MALFORMED", { message: `signed_statement.signature must have ${signatureBytes} bytes` });
  const { keyId, signedAt } = parts;
  if (parts.tenant !== tenant)
    return refusal("UNKNOWN_KEY", { keyId, signedAt, message: "the statement names another tenant" });
  const spanMatches =
    parts.digest === spanDigest(span) && parts.traceId === span.traceId && parts.spanId === span.spanId;
  return { keyId, signedAt, ...signed, spanMatches, lacks: spanMatches ? "" : span.lacks };
}

/** Only attributes are given: the statement is rebuilt from span and attributes, so that any change breaks the signature. */
function claimOfAttributes(span: ReadSpan, tenant: string): Claim | Verdict {
  const { integrity, traceId, spanId, lacks } = span;
  const { keyId } = integrity;
  const malformed = (field: keyof Integrity) => refusal("MALFORMED", { message: wrongAttribute(integrity, field) });
  if (integrity.algorithm !== algorithm) return malformed("algorithm");
  const signature = canonicalBase64(integrity.value ?? "");
  if (signature?.length !== signatureBytes) return malformed("value");
  if (keyId === undefined || !/^[0-9a-f]{32}$/.test(keyId)) return malformed("keyId");
  const signedAt = canonicalSignedAt(integrity.signedAt ?? "");
  if (signedAt === undefined) return malformed("signedAt");
  if (integrity.tenant === undefined) return malformed("tenant");
  if (integrity.tenant !== tenant) return refusal("UNKNOWN_KEY", { keyId, signedAt, message: namesAnotherTenant });
  const parts: StatementParts = { traceId, spanId, digest: spanDigest(span), tenant, keyId, signedAt };
  return { keyId, signedAt, statement: Buffer.from(buildStatement(parts)), signature, spanMatches: true, lacks };
}
