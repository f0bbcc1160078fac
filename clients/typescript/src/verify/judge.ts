/**
 * Judges a span that was read. The order of the checks is the order of the reasons where several hold: form; the tenant and its key; a key
 * that never became active; the signature, or the checkpoint's signature and the path; the span; whether the key is compromised; and of an
 * individual signature, whether the key was in use.
 */
import { canonicalBase64, hexText, isSame, utf8Bytes, utf8Text } from "./bytes.ts";
import type { Integrity, ReadSpan } from "./canonical.ts";
import { signatureBytes } from "./crypto.ts";
import type { KeySet } from "./key-set.ts";
import { type LogEvidence, logProofAlgorithm, logSigners, proofReader } from "./log-proof.ts";
import { isIncluded, leafHash, rememberNodes } from "./merkle.ts";
import {
  canonicalSignedAt,
  keyedStatementText,
  logStatementText,
  parseKeyedStatement,
  parseLogStatement,
  preAuthenticationEncoding,
  type SpanStatement,
  signedAtMs,
} from "./statement.ts";
import {
  explanations,
  type LogKey,
  mismatch,
  type Reason,
  reasonOfKey,
  refusal,
  type Verdict,
  type VerifyingKey,
} from "./verdict.ts";

/** A statement and its signature, as SignSpan returned them. */
export interface SignedStatement {
  statement: Uint8Array;
  /** 64 bytes. */
  signature: Uint8Array;
}

/** A log's entry and its proof, as SignSpans or GetInclusionProof returned them. */
export interface LogProof {
  statement: Uint8Array;
  /** C2SP tlog-proof text. */
  proof: string;
}

/** What the evidence of a span claims. Nothing of it is verified. */
interface Claim {
  tenant: string;
  signedAt: string;
  /** The key that an individual signature names. */
  keyId?: string;
  /** What was signed, or is the log's entry. */
  statement: Uint8Array;
  spanMatches: boolean;
  lacks: string;
}

/** An individual signature. */
export interface SignatureClaim extends Claim {
  signature: Uint8Array;
}

export type LogClaim = Claim & LogEvidence;

/** What there is to say of a span, and what it claims. */
export interface Judged {
  verdict: Verdict;
  /** Its place in a log, where it claims one. */
  place?: LogPlace | undefined;
  /** What its evidence claims, where that can be read and is the tenant's. */
  claim?: SignatureClaim | LogClaim;
}

export interface LogPlace extends LogEvidence {
  /** The keys that signed its checkpoint; undefined where a signature does not hold. */
  signers: readonly LogKey[] | undefined;
}

export type Judge = (
  span: ReadSpan,
  tenant: string,
  evidence?: { signedStatement?: SignedStatement | undefined; logProof?: LogProof | undefined },
) => Promise<Judged>;

/** Replicas' clocks may differ by this much, so a signature may be that much older than its key. */
const clockToleranceMs = 60_000;

const forms: Readonly<Record<keyof Integrity, string>> = {
  algorithm: `must be EdDSA or ${logProofAlgorithm}`,
  value: "must be the base64 of a signature, which has 64 bytes, or of a log proof",
  key_id: "must be 32 lower-case hex digits, and must not be there beside a log proof",
  tenant: "must be the tenant in whose name the span was signed",
  signed_at: "must be a time of RFC 3339 in UTC, without parts of a millisecond, such as 2026-01-02T03:04:05.678Z",
};

/** Spans of a batch have one checkpoint, whose signature is checked once by each judge, and most of the nodes of its tree. */
export function judge({ keys, passedOver, logKeys, crypto }: KeySet): Judge {
  const [readProof, hashing] = [proofReader(), rememberNodes(crypto)];
  let last: { whole: string; signers: Promise<LogKey[] | undefined> } | undefined;

  async function digestOf(span: ReadSpan): Promise<string> {
    return hexText(await crypto.sha256(utf8Bytes(span.canonical)));
  }

  function signersOfCheckpoint(claim: LogClaim): Promise<LogKey[] | undefined> {
    const { whole } = claim.note;
    if (last?.whole !== whole) last = { whole, signers: logSigners(claim, logKeys, crypto) };
    return last.signers;
  }

  /** Its statement is written from span and attributes, so that any change breaks the signature or the proof. */
  async function claimOfAttributes(span: ReadSpan, tenant: string): Promise<SignatureClaim | LogClaim | Verdict> {
    const { integrity, traceId, spanId, lacks } = span;
    const { algorithm, key_id: keyId } = integrity;
    const isLog = algorithm === logProofAlgorithm;
    if (!isLog && algorithm !== "EdDSA") return malformed(integrity, "algorithm");
    const value = canonicalBase64(integrity.value ?? "");
    const evidence = isLog ? readProof((value && utf8Text(value)) ?? "") : signatureOf(value);
    if (evidence === undefined) return malformed(integrity, "value");
    if (isLog ? keyId !== undefined : !/^[0-9a-f]{32}$/.test(keyId ?? "")) return malformed(integrity, "key_id");
    const signedAt = canonicalSignedAt(integrity.signed_at ?? "");
    if (signedAt === undefined) return malformed(integrity, "signed_at");
    if (integrity.tenant === undefined) return malformed(integrity, "tenant");
    const named = { tenant: integrity.tenant, signedAt, ...(keyId !== undefined && { keyId }) };
    if (integrity.tenant !== tenant)
      return refusal("UNKNOWN_KEY", { ...named, message: "audit.integrity.tenant names another tenant" });
    const parts = { traceId, spanId, digest: await digestOf(span), tenant, signedAt };
    const text = keyId === undefined ? logStatementText(parts) : keyedStatementText({ ...parts, keyId });
    return withLeaf({ ...named, statement: utf8Bytes(text), spanMatches: true, lacks }, evidence);
  }

  async function claimOfStatement(
    span: ReadSpan,
    given: SignedStatement | LogProof,
    tenant: string,
  ): Promise<SignatureClaim | LogClaim | Verdict> {
    const { statement } = given;
    const parts: (SpanStatement & { keyId?: string }) | undefined =
      "proof" in given ? parseLogStatement(statement) : parseKeyedStatement(statement);
    if (parts === undefined)
      return refusal("MALFORMED", { message: "the statement must be the exact text that signing returned" });
    const evidence = "proof" in given ? readProof(given.proof) : signatureOf(given.signature);
    if (evidence === undefined)
      return refusal("MALFORMED", {
        message: "the evidence must be 64 bytes of a signature, or the text of a tlog-proof",
      });
    const { signedAt, keyId } = parts;
    const named = { tenant: parts.tenant, signedAt, ...(keyId !== undefined && { keyId }) };
    if (parts.tenant !== tenant)
      return refusal("UNKNOWN_KEY", { ...named, message: "the statement names another tenant" });
    const isItsDigest = parts.digest === (await digestOf(span));
    const spanMatches = isItsDigest && parts.traceId === span.traceId && parts.spanId === span.spanId;
    return withLeaf({ ...named, statement, spanMatches, lacks: spanMatches ? "" : span.lacks }, evidence);
  }

  async function withLeaf(
    claim: Claim,
    evidence: { signature: Uint8Array } | Omit<LogEvidence, "leaf">,
  ): Promise<SignatureClaim | LogClaim> {
    if ("signature" in evidence) return { ...claim, ...evidence };
    return { ...claim, ...evidence, leaf: await leafHash(claim.statement, crypto) };
  }

  function unknownKey(about: Partial<Verdict>): Verdict {
    if (passedOver === 0) return refusal("UNKNOWN_KEY", about);
    const others = `${passedOver} ${passedOver === 1 ? "key" : "keys"} of a kind that is unknown here`;
    return refusal("UNKNOWN_KEY", { ...about, message: `${explanations.UNKNOWN_KEY}, which has ${others}` });
  }

  async function signatureVerdict(claim: SignatureClaim): Promise<Verdict> {
    const { keyId = "", tenant, signedAt } = claim;
    const key = keys.get(keyId);
    return key === undefined
      ? unknownKey({ tenant, keyId, signedAt })
      : verdictBy(key, claim, await reasonFor(claim, key));
  }

  async function reasonFor(claim: SignatureClaim, key: VerifyingKey): Promise<Reason> {
    const ofKey = reasonOfKey(key);
    if (ofKey === "KEY_STATE") return ofKey;
    const message = preAuthenticationEncoding(claim.statement);
    if (!(await crypto.isSignedBy(key.publicKey, message, claim.signature))) return "SIGNATURE_MISMATCH";
    if (!claim.spanMatches) return "SPAN_MISMATCH";
    if (ofKey !== "OK") return ofKey;
    return isInUse(key, signedAtMs(claim.signedAt)!) ? "OK" : "KEY_STATE";
  }

  /** When a key was in use means nothing in a log: a later checkpoint proves an earlier entry. */
  async function logVerdict(claim: LogClaim, signers: readonly LogKey[] | undefined): Promise<Verdict> {
    const { tenant, signedAt, checkpoint, index } = claim;
    const place = { log: checkpoint.origin, leafIndex: index };
    if (signers === undefined)
      return refusal("PROOF_INVALID", {
        tenant,
        signedAt,
        ...place,
        message: "a signature of the checkpoint does not hold",
      });
    let first: Verdict | undefined;
    for (const key of signers) {
      const found = { ...verdictBy(key, claim, await logReasonFor(claim, key)), ...place };
      if (found.verified) return found;
      first ??= found;
    }
    return first ?? unknownKey({ tenant, signedAt, ...place });
  }

  async function logReasonFor(claim: LogClaim, key: LogKey): Promise<Reason> {
    const ofKey = reasonOfKey(key);
    if (ofKey === "KEY_STATE") return ofKey;
    if (!(await isIncluded(claim, claim.checkpoint, crypto, hashing))) return "PROOF_INVALID";
    if (!claim.spanMatches) return "SPAN_MISMATCH";
    return ofKey === "KEY_COMPROMISED" && isRecordedHead(claim, key) ? "OK" : ofKey;
  }

  return async (span, tenant, { signedStatement, logProof } = {}) => {
    const { traceId, spanId } = span;
    const given = signedStatement ?? logProof;
    const claim =
      given === undefined ? await claimOfAttributes(span, tenant) : await claimOfStatement(span, given, tenant);
    if ("reason" in claim) return { verdict: { traceId, spanId, ...claim } };
    if ("signature" in claim) return { verdict: { traceId, spanId, ...(await signatureVerdict(claim)) }, claim };
    const signers = await signersOfCheckpoint(claim);
    const { leaf, index, path, checkpoint, note } = claim;
    const place = { leaf, index, path, checkpoint, note, signers };
    return { verdict: { traceId, spanId, ...(await logVerdict(claim, signers)) }, place, claim };
  };
}

function signatureOf(bytes: Uint8Array | undefined): { signature: Uint8Array } | undefined {
  return bytes?.length === signatureBytes ? { signature: bytes } : undefined;
}

function verdictBy({ keyId, state }: VerifyingKey, { tenant, signedAt, lacks }: Claim, reason: Reason): Verdict {
  const found: Verdict = { verified: reason === "OK", reason, tenant, keyId, keyState: state, signedAt };
  const differs = reason === "SIGNATURE_MISMATCH" || reason === "SPAN_MISMATCH" || reason === "PROOF_INVALID";
  return differs ? { ...found, message: mismatch(reason, lacks) } : found;
}

/** It is then not the compromised key that proves the entry, but the head that the service recorded when the key was marked. */
export function isRecordedHead({ checkpoint }: LogClaim, { compromisedLog }: LogKey): boolean {
  return (
    compromisedLog !== undefined &&
    compromisedLog.origin === checkpoint.origin &&
    compromisedLog.size === checkpoint.size &&
    isSame(compromisedLog.root, checkpoint.root)
  );
}

/** `ms` is when the key signed. */
export function isInUse({ validFrom, validUntil }: VerifyingKey, ms: number): boolean {
  if (validFrom !== undefined && ms < validFrom - clockToleranceMs) return false;
  return validUntil === undefined || ms <= validUntil;
}

/** Says which attribute is missing or malformed, never what it is. */
function malformed(integrity: Integrity, name: keyof Integrity): Verdict {
  if (Object.keys(integrity).length === 0) {
    const message = "the span carries no evidence: put the attributes on it that signing gave";
    return refusal("MALFORMED", { unsigned: true, message });
  }
  const missing = integrity[name] === undefined ? "is missing: it " : "";
  return refusal("MALFORMED", { message: `audit.integrity.${name} ${missing}${forms[name]}` });
}
