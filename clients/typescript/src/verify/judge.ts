/**
 * Judges a span that was read. The order of the checks is the order of the reasons where several hold: form; the tenant and its key; a key
 * that never became active; the signature, or the checkpoint's signature and the path; the span; whether the key is compromised; and of an
 * individual signature, whether the key was in use.
 */
import { canonicalBase64, hexText, isSame, utf8Bytes, utf8Text } from "./bytes.ts";
import type { Integrity, ReadSpan } from "./canonical.ts";
import { signatureBytes } from "./crypto.ts";
import type { KeySet } from "./key-set.ts";
import { type LogEvidence, logProofAlgorithm, logSigners, parseLogProof } from "./log-proof.ts";
import { isIncluded, leafHash } from "./merkle.ts";
import {
  canonicalSignedAt,
  keyedStatementText,
  logStatementText,
  parseKeyedStatement,
  parseLogStatement,
  preAuthenticationEncoding,
  signedAtMs,
} from "./statement.ts";
import {
  explanations,
  type LogKey,
  mismatch,
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

/** An individual signature. */
interface Claim extends SignedStatement {
  keyId: string;
  signedAt: string;
  spanMatches: boolean;
  lacks: string;
}

/** A place in a log. */
interface LogClaim extends LogEvidence {
  signedAt: string;
  spanMatches: boolean;
  lacks: string;
}

/** What there is to say of a span, and what it claims. */
export interface Judged {
  verdict: Verdict;
  /** Its place in a log, where it claims one. */
  place?: LogPlace | undefined;
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

/** Spans of a batch have one checkpoint: its signature is checked once by each judge. */
export function judge({ keys, passedOver, logKeys, crypto }: KeySet): Judge {
  let last: { whole: string; signers: Promise<LogKey[] | undefined> } | undefined;

  async function digestOf(span: ReadSpan): Promise<string> {
    return hexText(await crypto.sha256(utf8Bytes(span.canonical)));
  }

  function signersOfCheckpoint(claim: LogClaim): Promise<LogKey[] | undefined> {
    const { whole } = claim.note;
    if (last?.whole !== whole) last = { whole, signers: logSigners(claim, logKeys, crypto) };
    return last.signers;
  }

  async function claimOfAttributes(span: ReadSpan, tenant: string): Promise<Claim | Verdict> {
    const { integrity, traceId, spanId, lacks } = span;
    const { key_id: keyId } = integrity;
    if (integrity.algorithm !== "EdDSA") return malformed(integrity, "algorithm");
    const signature = canonicalBase64(integrity.value ?? "");
    if (signature?.length !== signatureBytes) return malformed(integrity, "value");
    if (keyId === undefined || !/^[0-9a-f]{32}$/.test(keyId)) return malformed(integrity, "key_id");
    const signedAt = canonicalSignedAt(integrity.signed_at ?? "");
    if (signedAt === undefined) return malformed(integrity, "signed_at");
    if (integrity.tenant === undefined) return malformed(integrity, "tenant");
    if (integrity.tenant !== tenant) return refusal("UNKNOWN_KEY", { keyId, signedAt, message: namesAnother });
    // Written from span and attributes, so that any change breaks the signature.
    const text = keyedStatementText({ traceId, spanId, digest: await digestOf(span), tenant, keyId, signedAt });
    return { keyId, signedAt, statement: utf8Bytes(text), signature, spanMatches: true, lacks };
  }

  async function claimOfStatement(span: ReadSpan, given: SignedStatement, tenant: string): Promise<Claim | Verdict> {
    const parts = parseKeyedStatement(given.statement);
    if (parts === undefined)
      return refusal("MALFORMED", { message: "the statement must be the exact text that SignSpan returned" });
    if (given.signature.length !== signatureBytes)
      return refusal("MALFORMED", { message: `the signature must have ${signatureBytes} bytes` });
    const { keyId, signedAt } = parts;
    if (parts.tenant !== tenant)
      return refusal("UNKNOWN_KEY", { keyId, signedAt, message: "the statement names another tenant" });
    const isItsDigest = parts.digest === (await digestOf(span));
    const spanMatches = isItsDigest && parts.traceId === span.traceId && parts.spanId === span.spanId;
    return { keyId, signedAt, ...given, spanMatches, lacks: spanMatches ? "" : span.lacks };
  }

  async function logClaimOfAttributes(span: ReadSpan, tenant: string): Promise<LogClaim | Verdict> {
    const { integrity, traceId, spanId, lacks } = span;
    const bytes = canonicalBase64(integrity.value ?? "");
    const evidence = parseLogProof((bytes && utf8Text(bytes)) ?? "");
    if (evidence === undefined) return malformed(integrity, "value");
    if (integrity.key_id !== undefined) return malformed(integrity, "key_id");
    const signedAt = canonicalSignedAt(integrity.signed_at ?? "");
    if (signedAt === undefined) return malformed(integrity, "signed_at");
    if (integrity.tenant === undefined) return malformed(integrity, "tenant");
    if (integrity.tenant !== tenant) return refusal("UNKNOWN_KEY", { signedAt, message: namesAnother });
    const text = logStatementText({ traceId, spanId, digest: await digestOf(span), tenant, signedAt });
    return { ...evidence, signedAt, leaf: await leafHash(utf8Bytes(text), crypto), spanMatches: true, lacks };
  }

  async function logClaimOfStatement(span: ReadSpan, given: LogProof, tenant: string): Promise<LogClaim | Verdict> {
    const parts = parseLogStatement(given.statement);
    const evidence = parseLogProof(given.proof);
    if (parts === undefined)
      return refusal("MALFORMED", { message: "the statement must be the exact text of the log's entry" });
    if (evidence === undefined) return refusal("MALFORMED", { message: "the proof must be the text of a tlog-proof" });
    const { signedAt } = parts;
    if (parts.tenant !== tenant)
      return refusal("UNKNOWN_KEY", { signedAt, message: "the statement names another tenant" });
    const isItsDigest = parts.digest === (await digestOf(span));
    const spanMatches = isItsDigest && parts.traceId === span.traceId && parts.spanId === span.spanId;
    const leaf = await leafHash(given.statement, crypto);
    return { ...evidence, signedAt, leaf, spanMatches, lacks: spanMatches ? "" : span.lacks };
  }

  function unknownKey(about: Partial<Verdict>): Verdict {
    if (passedOver === 0) return refusal("UNKNOWN_KEY", about);
    const others = `${passedOver} ${passedOver === 1 ? "key" : "keys"} of a kind that is unknown here`;
    return refusal("UNKNOWN_KEY", { ...about, message: `${explanations.UNKNOWN_KEY}, which has ${others}` });
  }

  async function verdict(claim: Claim): Promise<Verdict> {
    const { keyId, signedAt, lacks } = claim;
    const key = keys.get(keyId);
    if (key === undefined) return unknownKey({ keyId, signedAt });
    const reason = await reasonFor(claim, key);
    const found: Verdict = { verified: reason === "OK", reason, keyId, keyState: key.state, signedAt };
    const differs = reason === "SIGNATURE_MISMATCH" || reason === "SPAN_MISMATCH";
    return differs ? { ...found, message: mismatch(reason, lacks) } : found;
  }

  async function reasonFor(claim: Claim, key: VerifyingKey): Promise<Verdict["reason"]> {
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
    const { signedAt, lacks, checkpoint, index } = claim;
    const place = { log: checkpoint.origin, leafIndex: index };
    if (signers === undefined)
      return refusal("PROOF_INVALID", { signedAt, ...place, message: "a signature of the checkpoint does not hold" });
    let first: Verdict | undefined;
    for (const key of signers) {
      const reason = await logReasonFor(claim, key);
      const found: Verdict = { verified: reason === "OK", reason, keyId: key.keyId, keyState: key.state, signedAt };
      const differs = reason === "PROOF_INVALID" || reason === "SPAN_MISMATCH";
      const said: Verdict = { ...found, ...place, ...(differs ? { message: mismatch(reason, lacks) } : {}) };
      if (said.verified) return said;
      first ??= said;
    }
    return first ?? unknownKey({ signedAt, ...place });
  }

  async function logReasonFor(claim: LogClaim, key: LogKey): Promise<Verdict["reason"]> {
    const ofKey = reasonOfKey(key);
    if (ofKey === "KEY_STATE") return ofKey;
    if (!(await isIncluded(claim, claim.checkpoint, crypto))) return "PROOF_INVALID";
    if (!claim.spanMatches) return "SPAN_MISMATCH";
    return ofKey === "KEY_COMPROMISED" && isRecordedHead(claim, key) ? "OK" : ofKey;
  }

  return async (span, tenant, { signedStatement, logProof } = {}) => {
    const { traceId, spanId } = span;
    const claim =
      logProof !== undefined
        ? await logClaimOfStatement(span, logProof, tenant)
        : signedStatement !== undefined
          ? await claimOfStatement(span, signedStatement, tenant)
          : span.integrity.algorithm === logProofAlgorithm
            ? await logClaimOfAttributes(span, tenant)
            : await claimOfAttributes(span, tenant);
    const ids = { traceId, spanId };
    if ("reason" in claim) return { verdict: { ...ids, ...claim } };
    if (!("leaf" in claim)) return { verdict: { ...ids, ...(await verdict(claim)) } };
    const signers = await signersOfCheckpoint(claim);
    return { verdict: { ...ids, ...(await logVerdict(claim, signers)) }, place: { ...claim, signers } };
  };
}

/** It is then not the compromised key that proves the entry, but the head that the service recorded when the key was marked. */
function isRecordedHead({ checkpoint }: LogClaim, { compromisedLog }: LogKey): boolean {
  return (
    compromisedLog !== undefined &&
    compromisedLog.origin === checkpoint.origin &&
    compromisedLog.size === checkpoint.size &&
    isSame(compromisedLog.root, checkpoint.root)
  );
}

function isInUse({ validFrom, validUntil }: VerifyingKey, ms: number): boolean {
  if (validFrom !== undefined && ms < validFrom - clockToleranceMs) return false;
  return validUntil === undefined || ms <= validUntil;
}

const namesAnother = "audit.integrity.tenant names another tenant";

/** Says which attribute is missing or malformed, never what it is. */
function malformed(integrity: Integrity, name: keyof Integrity): Verdict {
  if (Object.keys(integrity).length === 0) {
    const message = "the span carries no evidence: put the attributes on it that signing gave";
    return refusal("MALFORMED", { unsigned: true, message });
  }
  const missing = integrity[name] === undefined ? "is missing: it " : "";
  return refusal("MALFORMED", { message: `audit.integrity.${name} ${missing}${forms[name]}` });
}
