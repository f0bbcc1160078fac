/** Every span of an export with what there is to say of it alone. */
import { KmsError } from "../../errors.ts";
import type { ReadSpan } from "../../otlp/canonical.ts";
import { hasEvidence } from "../../otlp/integrity-attributes.ts";
import { readFrame, readResourceSpans } from "../../otlp/resource-spans.ts";
import { cursor } from "../../encoding/wire-reader.ts";
import { counted } from "../../attestation/log-audit.ts";
import { explanations, type Reason, type Verdict } from "../../attestation/verdict.ts";
import { claimOf, isClaim, isLogClaim, verdict } from "../../attestation/verify-span.ts";
import { type LogClaim, type LogKey, logSigners, logVerdict } from "../../attestation/verify-log-proof.ts";
import type { KeySet } from "./key-set.ts";
import { splitSpanFile } from "./span-file.ts";

export interface JudgedSpan extends Verdict {
  traceId?: string;
  spanId?: string;
  /** Whom the evidence names, or who was asked for; of a verified span they are the same. */
  tenant?: string;
  /** True if the span has no evidence at all. */
  isUnsigned?: boolean;
  /** Its place in a log, where it claims one. */
  place?: LogPosition;
}

export interface LogPosition {
  claim: LogClaim;
  /** The known keys that signed its checkpoint; undefined where a signature does not hold. */
  signers: readonly LogKey[] | undefined;
}

/** What to say of a span that does not verify, in words that follow the reason. */
export function explanationOf({ reason, message }: Verdict): string {
  return message ?? explanations[reason];
}

/** A span without evidence is MALFORMED to the service, which cannot tell it from one that lost some of its attributes. */
export function verdictOf({ isUnsigned, reason }: JudgedSpan): Reason | "UNSIGNED" {
  return isUnsigned ? "UNSIGNED" : reason;
}

/** `tenant`: who must have signed; without it, whom each span names. */
export function judgeSpans(file: Uint8Array, keys: KeySet, tenant: string | undefined): JudgedSpan[] {
  return [...judgedSpans(splitSpanFile(file), keys, tenant)];
}

/** The same one by one, of a file that was split. */
export function* judgedSpans(
  messages: readonly (Uint8Array | KmsError)[],
  keys: KeySet,
  tenant: string | undefined,
): Generator<JudgedSpan, void, undefined> {
  const signersOf = rememberLast(keys.logKeys);
  const judge = (span: ReadSpan | KmsError): JudgedSpan => {
    const judged = judgeAlone(span);
    const isUnknown = judged.reason === "UNKNOWN_KEY" && judged.message === undefined;
    return isUnknown ? { ...judged, message: noSuchKey(keys) } : judged;
  };
  const judgeAlone = (span: ReadSpan | KmsError): JudgedSpan => {
    if (span instanceof KmsError) return unreadable(span);
    const { traceId, spanId, integrity } = span;
    const tenantId = tenant ?? integrity.tenant ?? "";
    const claim = claimOf({ tenantId, span, signed: undefined, logProof: undefined });
    const named = { traceId, spanId, tenant: tenantId };
    if (isClaim(claim)) return { ...named, ...verdict(claim, keys.byId.get(claim.keyId)) };
    if (!isLogClaim(claim)) return { ...named, isUnsigned: !hasEvidence(integrity), ...claim };
    const signers = signersOf(claim);
    return { ...named, ...logVerdict(claim, signers), place: { claim, signers } };
  };
  for (const message of messages) {
    try {
      if (message instanceof KmsError) throw message;
      for (const span of readResourceSpans(message)) yield judge(span);
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
      yield unreadable(error);
    }
  }
}

/** How many spans there are; a message that cannot be read counts as one. */
export function countSpans(messages: readonly (Uint8Array | KmsError)[]): number {
  return messages.reduce((sum, message) => sum + (message instanceof KmsError ? 1 : spansIn(message)), 0);
}

function spansIn(message: Uint8Array): number {
  try {
    return readFrame(cursor(message), message.length).scopeSpans.reduce((sum, { spans }) => sum + spans.length, 0);
  } catch (error) {
    if (error instanceof KmsError) return 1;
    throw error;
  }
}

function noSuchKey({ unknown }: KeySet): string {
  const others = unknown === 0 ? "" : `, which has ${counted(unknown, "key", "keys")} of a kind that is unknown here`;
  return `no such key of this tenant in the keys file${others}`;
}

/** The spans of a batch have one checkpoint: its signature is checked once. */
function rememberLast(keys: readonly LogKey[]): (claim: LogClaim) => LogPosition["signers"] {
  let last: { whole: string; signers: LogPosition["signers"] } | undefined;
  return (claim) => {
    const { whole } = claim.note;
    if (last?.whole !== whole) last = { whole, signers: logSigners(claim, keys) };
    return last.signers;
  };
}

function unreadable(error: KmsError): JudgedSpan {
  return { verified: false, reason: "MALFORMED", message: error.message };
}
