/** The spans of an export by the log that each is of, as entries to audit or as what is wrong with them already. */
import type { AuditedEntry, LogFinding } from "../../attestation/log-audit.ts";
import type { HandoverClaim } from "../../attestation/log-trust.ts";
import { isIncluded } from "../../tlog/verify-proof.ts";
import { type Reason, reasonOfKey } from "../../attestation/verdict.ts";
import { type LogEvidence, type LogKey, logSigners } from "../../attestation/verify-log-proof.ts";
import { explanationOf, type JudgedSpan } from "./judged-spans.ts";

export interface Finding extends Omit<LogFinding, "what" | "index"> {
  what: LogFinding["what"] | "changed" | "foreign" | "unproven" | "unreadable";
  /** Undefined where the span does not even claim a place. */
  index: number | undefined;
  /** Where it comes among the others. */
  at: number;
}

export interface LogSpans {
  /** Sorted as in the file. */
  held: AuditedEntry[];
  changed: Set<number>;
  findings: Finding[];
}

const kinds: Readonly<Record<Reason, Finding["what"]>> = {
  OK: "unproven",
  SIGNATURE_MISMATCH: "changed",
  SPAN_MISMATCH: "changed",
  PROOF_INVALID: "changed",
  UNKNOWN_KEY: "foreign",
  KEY_STATE: "unproven",
  KEY_COMPROMISED: "compromised",
  MALFORMED: "unreadable",
};

/**
 * Groups spans by the origin of their log. One of no known log counts with the one before it, or with the first log: it stands where one of
 * that log could be. `apart` counts those that a signature of their own verifies: no log has them.
 */
export function spansByLog(spans: readonly JudgedSpan[], origins: readonly string[]) {
  const logs = new Map<string, LogSpans>();
  let apart = 0;
  let [origin, at] = [firstOrigin(spans, origins), -1];
  for (const span of spans) {
    if (span.place === undefined && span.verified) {
      apart += 1;
      continue;
    }
    const claimed = span.place?.claim;
    if (claimed !== undefined && origins.includes(claimed.checkpoint.origin)) origin = claimed.checkpoint.origin;
    const log = logs.get(origin) ?? { held: [], changed: new Set(), findings: [] };
    logs.set(origin, log);
    if (isHeld(span)) {
      const { claim, signers } = span.place;
      at = claim.index;
      log.held.push({ ...auditedEntry(claim, signers!), name: nameOf(span), isTrusted: span.verified });
    } else {
      // The index in another log means nothing in this one.
      const index = claimed?.checkpoint.origin === origin ? claimed.index : undefined;
      log.findings.push(spanFinding(span, index, index ?? at + 0.5));
      if (index !== undefined && span.reason === "PROOF_INVALID") log.changed.add(index);
    }
  }
  return { logs, apart };
}

/** Those of a log that hold: whatever else stands there fills no gap. */
export function handoversOf(
  origin: string,
  handovers: readonly HandoverClaim[],
  keys: readonly LogKey[],
): AuditedEntry[] {
  const own = handovers.filter(({ checkpoint }) => checkpoint.origin === origin);
  return heldHandovers(own, keys).map(({ handover, signers }) => auditedEntry(handover, signers));
}

/** Those that are in their log, and the keys that signed so. */
export function heldHandovers(
  handovers: readonly HandoverClaim[],
  keys: readonly LogKey[],
): { handover: HandoverClaim; signers: LogKey[] }[] {
  return handovers.flatMap((handover) => {
    const signers = logSigners(handover, keys) ?? [];
    return signers.length > 0 && isIncluded(handover, handover.checkpoint) ? [{ handover, signers }] : [];
  });
}

function auditedEntry(evidence: LogEvidence & { leaf: Uint8Array }, signers: readonly LogKey[]): AuditedEntry {
  const { leaf, index, path, checkpoint } = evidence;
  const recorded = signers.map(({ compromisedLog }) =>
    compromisedLog?.origin === checkpoint.origin ? compromisedLog.size : 0,
  );
  const isTrusted = signers.some((key) => reasonOfKey(key) === "OK");
  return { leaf, index, path, head: checkpoint, isTrusted, name: undefined, recordedSize: Math.max(...recorded) };
}

function isHeld(span: JudgedSpan): span is JudgedSpan & Required<Pick<JudgedSpan, "place">> {
  return span.place !== undefined && (span.verified || span.reason === "KEY_COMPROMISED");
}

function spanFinding(span: JudgedSpan, index: number | undefined, at: number): Finding {
  return { what: kinds[span.reason], index, at, count: 1, name: nameOf(span), message: explanationOf(span) };
}

function nameOf({ traceId = "-", spanId = "-" }: JudgedSpan): string {
  return `${traceId}/${spanId}`;
}

function firstOrigin(spans: readonly JudgedSpan[], origins: readonly string[]): string {
  const claimed = spans.map(({ place }) => place?.claim.checkpoint.origin ?? "");
  return claimed.find((origin) => origins.includes(origin)) ?? origins[0] ?? "";
}
