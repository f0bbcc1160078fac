/** The conclusions that a report draws from the facts: the verdict, the checks performed, and what they do not show. */
import type { Asked, Facts, FailureReason, FindingFacts, LogFacts } from "./facts.ts";
import { counted, digits, entries, rangeText } from "./wording.ts";

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
  if (isEmpty || failedSpans(facts) > 0 || findings.some(({ what }) => what !== "missing")) return "FAILED";
  if (findings.length > 0) return "VERIFIED_WITH_GAPS";
  return asked.vkeys.length > 0 && (!asked.log || logs.every(reachesKeptCheckpoint)) ? "VERIFIED" : "CONSISTENT";
}

/** Spans that do not verify. In a log, one that a compromised key signed verifies where another key's checkpoint proves its entry. */
function failedSpans({ spans, logs, asked }: Facts): number {
  if (!asked.log) return spans.failures.length;
  return spans.failures.length - provenByOthers({ spans, logs, asked });
}

/** Spans that only a compromised key signed, and whose entries another checkpoint proves. */
export function provenByOthers({ spans, logs, asked }: Pick<Facts, "spans" | "logs" | "asked">): number {
  if (!asked.log) return 0;
  const signed = spans.failures.filter(({ reason }) => reason === "KEY_COMPROMISED");
  const unproven = new Set(
    logs.flatMap(({ findings }) => findings.filter(({ what }) => what === "compromised").map(({ span }) => span)),
  );
  return signed.filter(({ span }) => !unproven.has(span)).length;
}

/** The conclusion in a sentence or two. */
export function conclusionText(facts: Facts): string {
  const { asked, spans, logs } = facts;
  const missing = logs.flatMap(({ findings }) => findings.filter(({ what }) => what === "missing"));
  const all = spans.total === 1 ? "The span verifies" : `All ${digits(spans.total)} spans verify`;
  switch (conclusionOf(facts)) {
    case "VERIFIED":
      return asked.log
        ? `${all}, by keys that a verifier key from elsewhere leads to. None is missing of ${rangesText(logs)}, all of which a kept checkpoint covers.`
        : `${all}, by keys that a verifier key from elsewhere leads to. Whether others are missing was not asked.`;
    case "CONSISTENT":
      return `${all}${asked.log ? `, and none is missing of ${rangesText(logs)}` : ""}. But ${restsOn(facts)}`;
    case "VERIFIED_WITH_GAPS": {
      const count = missing.reduce((sum, each) => sum + each.count, 0);
      const gaps = `${all}, but ${entries(count)} of the log ${count === 1 ? "is" : "are"} missing, in ${counted(missing.length, "gap")}.`;
      return unvouched(facts).length === 0 ? gaps : `${gaps} And ${restsOn(facts)}`;
    }
    case "FAILED":
      return failureText(facts);
  }
}

function restsOn(facts: Facts): string {
  return `this rests on the word of whoever supplied the files: ${unvouched(facts).join("; ")}.`;
}

function unvouched({ asked, logs }: Facts): string[] {
  return [
    ...(asked.vkeys.length === 0 ? ["no verifier key from elsewhere says whose the keys are"] : []),
    ...(asked.log && !logs.every(reachesKeptCheckpoint) ? ["no checkpoint kept elsewhere covers the last entry"] : []),
  ];
}

function failureText(facts: Facts): string {
  const { asked, spans, logs } = facts;
  const failed = failedSpans(facts);
  if (spans.total === 0) return "There are no spans in the file.";
  if (asked.log && logs.length === 0) return "There are no spans of a log in the file.";
  const others = logs.flatMap(({ findings }) => findings).filter(({ what }) => ofLogs.has(what));
  const said = [
    ...(failed > 0
      ? [`${digits(failed)} of ${counted(spans.total, "span")} ${failed === 1 ? "does" : "do"} not verify`]
      : []),
    ...[...new Set(others.map(({ what }) => what))].map((what) => {
      const own = others.filter((each) => each.what === what);
      return `${entries(own.reduce((sum, { count }) => sum + count, 0))} ${what}`;
    }),
    ...logs.filter((log) => log.spans === 0).map(({ origin }) => `there are no spans of ${origin}`),
  ].join("; ");
  return `${said.charAt(0).toUpperCase()}${said.slice(1)}.`;
}

/** Findings about the log as a whole; the others are spans that do not verify. */
const ofLogs: ReadonlySet<FindingFacts["what"]> = new Set(["missing", "repeated", "reordered", "rewritten"]);

function rangesText(logs: readonly LogFacts[]): string {
  return logs.map((log) => `${rangeText(log)} of ${log.origin}`).join(" and ");
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
      failed("KEY_STATE", "KEY_COMPROMISED") - provenByOthers(facts),
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
  const checked = logs.reduce((sum, { from, to }) => sum + to - from, 0);
  const ofLog = (check: string, what: FindingFacts["what"]): Check => {
    if (!log) return { check, result: "not performed", detail: "completeness was not asked" };
    const found = findings.filter((each) => each.what === what).reduce((sum, { count }) => sum + count, 0);
    return found === 0
      ? { check, result: logs.length === 0 ? "not performed" : "passed", detail: entries(checked) }
      : { check, result: "failed", detail: `${digits(found)} of ${entries(checked)}` };
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
    "That states and dates of keys are right: nobody signs the keys file, and they are as whoever supplied it says.",
    "That a key was in nobody else's hands before it was marked as compromised, and that clocks were right: times are those of the service that signed.",
  ];
}
