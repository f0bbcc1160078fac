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
import { canonicalBase64 } from "./base64.ts";
import type { ReadSpan } from "./canonical.ts";
import type { VerifySpanRequest } from "./request.ts";
import { algorithm, spanDigest } from "./sign.ts";
import {
  buildStatement,
  parseStatement,
  preAuthenticationEncoding,
  signedAtMs,
  type StatementParts,
} from "./statement.ts";

export type Reason =
  | "OK"
  | "SIGNATURE_MISMATCH"
  | "SPAN_MISMATCH"
  | "UNKNOWN_KEY"
  | "KEY_STATE"
  | "KEY_COMPROMISED"
  | "PROOF_INVALID"
  | "MALFORMED";

/** What each state of a key means for a signature of it that holds. A disabled key's still verifies; `keyState` flags it. */
const reasonOfState = {
  PENDING: "KEY_STATE",
  ACTIVE: "OK",
  RETIRED: "OK",
  DISABLED: "OK",
  COMPROMISED: "KEY_COMPROMISED",
  DESTROY_SCHEDULED: "OK",
  DESTROYED: "OK",
} as const satisfies Record<string, Reason>;

/** A key as it is published. */
export interface VerifyingKey {
  publicKey: Uint8Array;
  state: keyof typeof reasonOfState;
  /** Set where the key was marked as compromised, whatever state it is in now. */
  compromisedAt?: Date | undefined;
  /** Undefined: unbounded on that side. */
  validFrom?: Date | undefined;
  validUntil?: Date | undefined;
}

export interface Verdict {
  verified: boolean;
  reason: Reason;
  keyId?: string;
  keyState?: VerifyingKey["state"];
  signedAt?: string;
}

/** What is left to judge once the key with `keyId` was looked up, inside the caller's tenant. */
export interface Claim {
  keyId: string;
  signedAt: string;
  statement: Uint8Array;
  signature: Uint8Array;
  /** Whether the statement is about this span. */
  spanMatches: boolean;
}

export const logProofAlgorithm = "c2sp.org/tlog-proof@v1";

/** Replicas' clocks may differ by this much, so a signature may be that much older than its key. */
const clockToleranceMs = 60_000;

/**
 * Which key to look up, or the verdict where none is needed. `tenantId` is the caller's own. Evidence beside the span counts before the
 * attributes on it.
 */
export function claimOf(request: VerifySpanRequest): Claim | Verdict {
  // Nothing was logged yet that a proof could prove: there is no log.
  if (request.logProof !== undefined) return refusal("PROOF_INVALID");
  if (request.signed !== undefined) return claimOfStatement(request.span, request.signed, request.tenantId);
  return claimOfAttributes(request.span, request.tenantId);
}

export function isClaim(claim: Claim | Verdict): claim is Claim {
  return "statement" in claim;
}

/** Judges a claim by its key, undefined where the caller's tenant has none of that id. */
export function verdict(claim: Claim, key: VerifyingKey | undefined): Verdict {
  const { keyId, signedAt } = claim;
  if (key === undefined) return refusal("UNKNOWN_KEY", { keyId, signedAt });
  const reason = reasonFor(claim, key);
  return { verified: reason === "OK", reason, keyId, keyState: key.state, signedAt };
}

function reasonFor(claim: Claim, key: VerifyingKey): Reason {
  if (key.state === "PENDING") return reasonOfState.PENDING;
  const message = preAuthenticationEncoding(claim.statement);
  if (!verifySignature(key.publicKey, message, claim.signature)) return "SIGNATURE_MISMATCH";
  if (!claim.spanMatches) return "SPAN_MISMATCH";
  if (key.compromisedAt !== undefined) return "KEY_COMPROMISED";
  if (reasonOfState[key.state] !== "OK") return reasonOfState[key.state];
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
  if (parts === undefined || signed.signature.length !== signatureBytes) return refusal("MALFORMED");
  const { keyId, signedAt } = parts;
  if (parts.tenant !== tenant) return refusal("UNKNOWN_KEY", { keyId, signedAt });
  const spanMatches =
    parts.digest === spanDigest(span) && parts.traceId === span.traceId && parts.spanId === span.spanId;
  return { keyId, signedAt, ...signed, spanMatches };
}

/** Only attributes are given: the statement is rebuilt from span and attributes, so that any change breaks the signature. */
function claimOfAttributes(span: ReadSpan, tenant: string): Claim | Verdict {
  const { integrity, traceId, spanId } = span;
  const { keyId, signedAt } = integrity;
  // As with logProof: no log, so no proof that holds.
  if (integrity.algorithm === logProofAlgorithm) return refusal("PROOF_INVALID");
  const signature = canonicalBase64(integrity.value ?? "");
  if (integrity.algorithm !== algorithm || signature?.length !== signatureBytes) return refusal("MALFORMED");
  if (keyId === undefined || !/^[0-9a-f]{32}$/.test(keyId)) return refusal("MALFORMED");
  if (signedAt === undefined || signedAtMs(signedAt) === undefined) return refusal("MALFORMED");
  if (integrity.tenant === undefined) return refusal("MALFORMED");
  if (integrity.tenant !== tenant) return refusal("UNKNOWN_KEY", { keyId, signedAt });
  const parts: StatementParts = { traceId, spanId, digest: spanDigest(span), tenant, keyId, signedAt };
  return { keyId, signedAt, statement: Buffer.from(buildStatement(parts)), signature, spanMatches: true };
}

function refusal(reason: Reason, about: Pick<Verdict, "keyId" | "signedAt"> = {}): Verdict {
  return { verified: false, reason, ...about };
}
