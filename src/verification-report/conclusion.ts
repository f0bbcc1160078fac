/** The conclusions that a report draws from the facts: the verdict, the checks performed, and what they do not show. */
import type { Asked, Facts, FailureReason, FindingFacts, LogFacts } from "./facts.ts";

/**
 * VERIFIED: nothing is wrong, by keys that the person who asks trusts from elsewhere and, for a log, up to the end of a kept checkpoint.
 * CONSISTENT: nothing is wrong, but one of these is absent. VERIFIED_WITH_GAPS: entries are missing, and nothing else is wrong.
 */
export type Conclusion = "VERIFIED" | "VERIFIED_WITH_GAPS" | "CONSISTENT" | "FAILED";

export interface Check {
  /** What was checked, as a sentence. */
  check: string;
  result: "passed" | "failed" | "not performed";
  detail: string;
}

export function conclusionOf(facts: Facts): Conclusion {
  const { asked, spans, logs } = facts;
  const findings = logs.flatMap((log) => log.findings);
  const isEmpty = asked.log ? logs.length === 0 || logs.some((log) => log.spans === 0) : spans.total === 0;
  if (isEmpty || spans.failures.length > 0 || findings.some(({ what }) => what !== "missing")) return "FAILED";
  if (findings.length > 0) return "VERIFIED_WITH_GAPS";
  return asked.vkeys.length > 0 && (!asked.log || logs.every(reachesKeptCheckpoint)) ? "VERIFIED" : "CONSISTENT";
}

/** Whether a kept checkpoint covers all entries that were checked, so that none was cut off or written anew since it was kept. */
function reachesKeptCheckpoint({ to, checkpoints }: LogFacts): boolean {
  return checkpoints.some(({ agrees, size }) => agrees === true && size >= to);
}

export function checksOf(facts: Facts): Check[] {
  const { asked, spans, logs } = facts;
  const failed = (...reasons: FailureReason[]) =>
    spans.failures.filter(({ reason }) => reasons.includes(reason)).length;
  const ofSpans = (check: string, failures: number): Check =>
    spans.total === 0
      ? { check, result: "not performed", detail: "there are no spans" }
      : {
          check,
          result: failures === 0 ? "passed" : "failed",
          detail:
            failures === 0 ? counted(spans.total, "span") : `${digits(failures)} of ${counted(spans.total, "span")}`,
        };
  return [
    ofSpans("Each span can be read and carries evidence.", failed("MALFORMED", "UNSIGNED")),
    ofSpans(
      "Each span is as it was signed: its signature or log proof holds.",
      failed("SIGNATURE_MISMATCH", "SPAN_MISMATCH", "PROOF_INVALID"),
    ),
    ofSpans("Each signature is by one of the tenant's keys.", failed("UNKNOWN_KEY")),
    ofSpans(
      "Each key was in use when it signed, and is not marked as compromised.",
      failed("KEY_STATE", "KEY_COMPROMISED"),
    ),
    ...logChecks(asked, logs),
    asked.vkeys.length > 0
      ? {
          check: "The keys are those that a verifier key from elsewhere leads to.",
          result: "passed",
          detail: `${counted(facts.keys.length, "key")} from ${counted(asked.vkeys.length, "verifier key")}`,
        }
      : {
          check: "The keys are those that a verifier key from elsewhere leads to.",
          result: "not performed",
          detail: "no verifier key was given",
        },
  ];
}

function logChecks({ log, anyOrder }: Asked, logs: readonly LogFacts[]): Check[] {
  const findings = logs.flatMap((each) => each.findings);
  const entries = logs.reduce((sum, { from, to }) => sum + to - from, 0);
  const ofLog = (check: string, what: FindingFacts["what"]): Check => {
    if (!log) return { check, result: "not performed", detail: "completeness was not asked" };
    const found = findings.filter((each) => each.what === what).reduce((sum, { count }) => sum + count, 0);
    return found === 0
      ? { check, result: logs.length === 0 ? "not performed" : "passed", detail: entriesCounted(entries) }
      : { check, result: "failed", detail: `${digits(found)} of ${entriesCounted(entries)}` };
  };
  const order = ofLog("The spans are in the order of the log.", "reordered");
  return [
    ofLog("No entry of the log is missing.", "missing"),
    ofLog("No entry is there twice.", "repeated"),
    log && anyOrder ? { ...order, result: "not performed", detail: "the file is in no order" } : order,
    ofLog("The history of the log was not rewritten.", "rewritten"),
    checkpointCheck(log, logs),
  ];
}

function checkpointCheck(log: boolean, logs: readonly LogFacts[]): Check {
  const check = "The log agrees with each checkpoint that was kept.";
  const kept = logs.flatMap(({ checkpoints }) => checkpoints);
  if (!log || kept.length === 0) return { check, result: "not performed", detail: "no checkpoint was given" };
  const agreeing = kept.filter(({ agrees }) => agrees === true).length;
  const detail = `${digits(agreeing)} of ${counted(kept.length, "checkpoint")}`;
  if (kept.some(({ agrees }) => agrees === false)) return { check, result: "failed", detail };
  return agreeing === kept.length
    ? { check, result: "passed", detail }
    : { check, result: "not performed", detail: `${detail}; the spans do not reach the others` };
}

/** What no check here shows, as sentences. */
export function notShown({ asked, logs }: Facts): string[] {
  const kept = logs.some(({ checkpoints }) => checkpoints.length > 0);
  return [
    "That what a span says is true. A signature shows that a record was not changed after it was signed, not that it was right.",
    "Spans that were never sent to the service, that were sampled away before it, or that it refused.",
    ...(asked.log
      ? logs.map(({ origin, to }) => `What came after entry ${to - 1} of ${origin}.`)
      : ["Whether spans are missing: each was checked for itself, not the log as a whole."]),
    ...logs.filter(({ from }) => from > 0).map(({ origin, from }) => `The entries before ${from} of ${origin}.`),
    ...(asked.log && !kept
      ? [
          "That the log was not cut off, or written anew by whoever holds the key: no checkpoint kept elsewhere was given.",
        ]
      : []),
    ...(kept
      ? [
          "More about a checkpoint than who kept it: one that comes from the audited party now does not bind that party. It binds where somebody else kept it.",
        ]
      : []),
    ...(asked.vkeys.length === 0
      ? ["Whose the keys are: they are taken from the keys file, and nobody else vouched for them."]
      : []),
    "That a key was in nobody else's hands before it was marked as compromised, and that clocks were right: times are those of the service that signed.",
  ];
}

function entriesCounted(count: number): string {
  return count === 1 ? "1 entry" : `${digits(count)} entries`;
}

export function counted(count: number, noun: string): string {
  return `${digits(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** With a comma between thousands, in every locale. */
export function digits(count: number): string {
  return `${count}`.replace(/\B(?=(\d{3})+$)/g, ",");
}
