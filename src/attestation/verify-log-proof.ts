/**
 * Verifies a span by its place in its tenant's log: the statement is rebuilt, or was given; its leaf hash and the path lead to the root of a
 * checkpoint; a key of the tenant signed that, by the name of the log. Pure, in two halves around the look-up of the keys, as in verify-span.ts.
 *
 * The order of the checks, which is the order of the reasons where several hold: form (MALFORMED); the tenant, its log and its key
 * (UNKNOWN_KEY); a key that never became active (KEY_STATE); the checkpoint's signature and the path (PROOF_INVALID); the span
 * (SPAN_MISMATCH); whether every key that signed is marked as compromised (KEY_COMPROMISED). When a key was in use means nothing here: a
 * later checkpoint proves an earlier entry.
 */
import { canonicalBase64 } from "../encoding/base64.ts";
import type { ReadSpan } from "../otlp/canonical.ts";
import { type Checkpoint, parseCheckpoint } from "../tlog/checkpoint.ts";
import { type Integrity, namesAnotherTenant, wrongAttribute } from "../otlp/integrity-attributes.ts";
import { buildLogStatement, parseLogStatement } from "./log-entry.ts";
import { leafHash } from "../tlog/merkle.ts";
import { isIncluded } from "../tlog/verify-proof.ts";
import { type Note, parseNote, signersOf } from "../tlog/signed-note.ts";
import { spanDigest } from "./sign-statement.ts";
import { canonicalSignedAt } from "./statement.ts";
import { parseTlogProof, type TlogProof } from "../tlog/inclusion-proof.ts";
import { mismatch, type Reason, reasonOfKey, refusal, type Verdict, type VerifyingKey } from "./verdict.ts";
import type { VerifierKey } from "../tlog/verifier-key.ts";

/** A log proof in its parts, nothing of which was verified yet. */
export interface LogEvidence extends Omit<TlogProof, "checkpoint"> {
  checkpoint: Checkpoint;
  /** The checkpoint, as it was signed. */
  note: Note;
}

/** What is left to judge once the tenant's keys were looked up. */
export interface LogClaim extends LogEvidence {
  signedAt: string;
  /** The leaf hash of the span's statement. */
  leaf: Uint8Array;
  /** Whether the statement is about this span. */
  spanMatches: boolean;
  /** What may be why the span does not match. */
  lacks: ReadSpan["lacks"];
}

/** A key of the tenant by the name of one of its logs: a key that signs for several stands there for each. */
export interface LogKey extends VerifierKey, VerifyingKey {
  keyId: string;
  /** How far that log went when this key was marked as compromised. */
  compromisedLog?: Checkpoint | undefined;
}

/**
 * Whether the claim's leaf was at its index of the log as it was recorded when this key, which signed the claim's checkpoint, was marked as
 * compromised. Where it was, it is not the compromised key that proves it.
 */
export type WasRecorded = (claim: LogClaim, key: LogKey) => boolean;

/** Only attributes are given: the statement is rebuilt from span and attributes, so that any change breaks the proof. */
export function logClaimOfAttributes(span: ReadSpan, tenant: string): LogClaim | Verdict {
  const { integrity, traceId, spanId, lacks } = span;
  const malformed = (field: keyof Integrity) => refusal("MALFORMED", { message: wrongAttribute(integrity, field) });
  const evidence = parseLogEvidence(textOf(canonicalBase64(integrity.value ?? "")));
  if (evidence === undefined) return malformed("value");
  if (integrity.keyId !== undefined) return malformed("keyId");
  const signedAt = canonicalSignedAt(integrity.signedAt ?? "");
  if (signedAt === undefined) return malformed("signedAt");
  if (integrity.tenant === undefined) return malformed("tenant");
  if (integrity.tenant !== tenant) return refusal("UNKNOWN_KEY", { signedAt, message: namesAnotherTenant });
  const statement = buildLogStatement({ traceId, spanId, digest: spanDigest(span), tenant, signedAt });
  return { ...evidence, signedAt, leaf: leafHash(Buffer.from(statement)), spanMatches: true, lacks };
}

/** The statement is given: it must be the canonical text, and then be about this span. */
export function logClaimOfStatement(
  span: ReadSpan,
  given: { statement: Uint8Array; proof: string },
  tenant: string,
): LogClaim | Verdict {
  const parts = parseLogStatement(given.statement);
  const evidence = parseLogEvidence(given.proof);
  if (parts === undefined)
    return refusal("MALFORMED", { message: "log_proof.statement must be the exact text of the log's entry" });
  if (evidence === undefined)
    return refusal("MALFORMED", { message: "log_proof.proof must be the text of a tlog-proof" });
  const { signedAt, traceId, spanId, digest } = parts;
  if (parts.tenant !== tenant)
    return refusal("UNKNOWN_KEY", { signedAt, message: "the statement names another tenant" });
  const spanMatches = traceId === span.traceId && spanId === span.spanId && digest === spanDigest(span);
  const lacks = spanMatches ? "" : span.lacks;
  return { ...evidence, signedAt, leaf: leafHash(given.statement), spanMatches, lacks };
}

/** The keys that signed the claim's checkpoint; undefined where a signature does not hold. Spans of a batch share their checkpoint. */
export function logSigners(
  { note, checkpoint }: Pick<LogEvidence, "note" | "checkpoint">,
  keys: readonly LogKey[],
): LogKey[] | undefined {
  return signersOf(
    note,
    keys.filter(({ name }) => name === checkpoint.origin),
  );
}

/** Judges a claim by the keys that signed its checkpoint, as `logSigners` finds them among the tenant's. */
export function logVerdict(
  claim: LogClaim,
  signers: readonly LogKey[] | undefined,
  wasRecorded: WasRecorded = isRecordedHead,
): Verdict {
  const { signedAt, lacks } = claim;
  if (signers === undefined)
    return refusal("PROOF_INVALID", { signedAt, message: "a signature of the proof's checkpoint does not hold" });
  const verdicts = signers.map((key) => {
    const reason = reasonFor(claim, key, wasRecorded);
    const found = { verified: reason === "OK", reason, keyId: key.keyId, keyState: key.state, signedAt };
    const differs = reason === "PROOF_INVALID" || reason === "SPAN_MISMATCH";
    return differs ? { ...found, message: mismatch(reason, lacks) } : found;
  });
  return verdicts.find(({ verified }) => verified) ?? verdicts[0] ?? refusal("UNKNOWN_KEY", { signedAt });
}

/** What the claim alone can tell: its checkpoint is the very head that was recorded. */
export function isRecordedHead({ checkpoint }: LogClaim, { compromisedLog }: LogKey): boolean {
  return (
    compromisedLog !== undefined &&
    compromisedLog.origin === checkpoint.origin &&
    compromisedLog.size === checkpoint.size &&
    Buffer.compare(compromisedLog.root, checkpoint.root) === 0
  );
}

/** By one of the keys that signed. */
function reasonFor(claim: LogClaim, key: LogKey, wasRecorded: WasRecorded): Reason {
  const ofKey = reasonOfKey(key);
  if (ofKey === "KEY_STATE") return ofKey;
  if (!isIncluded(claim, claim.checkpoint)) return "PROOF_INVALID";
  if (!claim.spanMatches) return "SPAN_MISMATCH";
  return ofKey === "KEY_COMPROMISED" && wasRecorded(claim, key) ? "OK" : ofKey;
}

/** Undefined for a text that is not a log proof with a checkpoint in it. */
export function parseLogEvidence(text: string | undefined): LogEvidence | undefined {
  const proof = text === undefined ? undefined : parseTlogProof(text);
  const note = proof && parseNote(proof.checkpoint);
  const checkpoint = note && parseCheckpoint(note.text);
  return checkpoint === undefined ? undefined : { index: proof!.index, path: proof!.path, note: note!, checkpoint };
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array | undefined): string | undefined {
  try {
    return bytes && utf8.decode(bytes);
  } catch {
    return undefined; // not UTF-8, so no proof
  }
}
