/** The spans of an export by the log that each is of, as entries to audit or as what is wrong with them already. */
import type { Judged } from "./judge.ts";
import type { HandoverClaim, KeySet } from "./key-set.ts";
import type { AuditedEntry, LogFinding } from "./log-audit.ts";
import { type LogEvidence, logSigners } from "./log-proof.ts";
import { isIncluded } from "./merkle.ts";
import { explanations, type LogKey, type Reason, reasonOfKey, type Verdict } from "./verdict.ts";

export interface SpanFinding extends LogFinding {
  /** Where it comes among the others. */
  at: number;
}

export interface LogSpans {
  /** Sorted as in the file. */
  held: AuditedEntry[];
  changed: Set<number>;
  findings: SpanFinding[];
}

const kinds: Readonly<Record<Reason, LogFinding["what"]>> = {
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
export function spansByLog(spans: readonly Judged[], origins: readonly string[]) {
  const logs = new Map<string, LogSpans>();
  let apart = 0;
  let [origin, at] = [firstOrigin(spans, origins), -1];
  for (const { verdict, place } of spans) {
    if (place === undefined && verdict.verified) {
      apart += 1;
      continue;
    }
    if (place !== undefined && origins.includes(place.checkpoint.origin)) origin = place.checkpoint.origin;
    const log = logs.get(origin) ?? { held: [], changed: new Set(), findings: [] };
    logs.set(origin, log);
    if (place !== undefined && (verdict.verified || verdict.reason === "KEY_COMPROMISED")) {
      at = place.index;
      log.held.push({ ...auditedEntry(place, place.signers!), name: nameOf(verdict), isTrusted: verdict.verified });
    } else {
      // The index in another log means nothing in this one.
      const index = place?.checkpoint.origin === origin ? place.index : undefined;
      log.findings.push(spanFinding(verdict, index, at));
      if (index !== undefined && verdict.reason === "PROOF_INVALID") log.changed.add(index);
    }
  }
  return { logs, apart };
}

/** Those of a log that hold: whatever else stands there fills no gap. */
export async function handoversOf(origin: string, keys: KeySet): Promise<AuditedEntry[]> {
  const handovers = keys.handovers.filter(({ checkpoint }) => checkpoint.origin === origin);
  return (await heldHandovers({ ...keys, handovers })).map(({ handover, signers }) => auditedEntry(handover, signers));
}

/** Handovers that are in their log, and the keys that signed so. */
export async function heldHandovers({
  handovers,
  logKeys,
  crypto,
}: Pick<KeySet, "handovers" | "logKeys" | "crypto">): Promise<{ handover: HandoverClaim; signers: LogKey[] }[]> {
  const held: { handover: HandoverClaim; signers: LogKey[] }[] = [];
  for (const handover of handovers) {
    const signers = (await logSigners(handover, logKeys, crypto)) ?? [];
    if (signers.length > 0 && (await isIncluded(handover, handover.checkpoint, crypto)))
      held.push({ handover, signers });
  }
  return held;
}

function auditedEntry({ leaf, index, path, checkpoint }: LogEvidence, signers: readonly LogKey[]): AuditedEntry {
  const recorded = signers.map(({ compromisedLog }) =>
    compromisedLog?.origin === checkpoint.origin ? compromisedLog.size : 0,
  );
  const isTrusted = signers.some((key) => reasonOfKey(key) === "OK");
  return { leaf, index, path, head: checkpoint, isTrusted, name: undefined, recordedSize: Math.max(...recorded) };
}

function spanFinding(verdict: Verdict, leafIndex: number | undefined, lastIndex: number): SpanFinding {
  const { reason, message = explanations[reason] } = verdict;
  return { what: kinds[reason], leafIndex, count: 1, span: nameOf(verdict), message, at: leafIndex ?? lastIndex + 0.5 };
}

function nameOf({ traceId = "-", spanId = "-" }: Verdict): string {
  return `${traceId}/${spanId}`;
}

function firstOrigin(spans: readonly Judged[], origins: readonly string[]): string {
  const claimed = spans.map(({ place }) => place?.checkpoint.origin ?? "");
  return claimed.find((origin) => origins.includes(origin)) ?? origins[0] ?? "";
}
