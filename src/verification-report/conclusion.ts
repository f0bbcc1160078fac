/** The conclusions that a report draws from the facts: the verdict, the checks performed, and what they do not show. */
import type { Asked, Facts, FailureReason, FindingFacts, LogFacts } from "./facts.ts";
import { counted, coveredBy, digits, entries, rangeText } from "./wording.ts";

/**
 * VERIFIED: nothing is wrong, by keys that the person who asks trusts from elsewhere and, for a log, up to the end of a kept checkpoint.
 * CONSISTENT: nothing is wrong, but one of these is absent. WITH_GAPS: entries are missing, and nothing else is wrong.
 */
export type Conclusion = "VERIFIED" | "VERIFIED_WITH_GAPS" | "CONSISTENT" | "CONSISTENT_WITH_GAPS" | "FAILED";

export interface Check {
  /** What was checked, as a sentence. */
  check: string;
  result: "passed" | "gaps" | "failed" | "not performed";
  detail: string;
}

export function conclusionOf(facts: Facts): Conclusion {
  const { asked, spans, logs } = facts;
  const findings = logs.flatMap((log) => log.findings);
  const isEmpty = asked.log ? logs.length === 0 || logs.some((log) => log.spans === 0) : spans.total === 0;
  if (isEmpty || failedSpans(facts) > 0 || findings.some(({ what }) => what !== "missing")) return "FAILED";
  const conclusion = weaknesses(facts).length === 0 ? "VERIFIED" : "CONSISTENT";
  return findings.length > 0 ? `${conclusion}_WITH_GAPS` : conclusion;
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
  if (conclusionOf(facts) === "FAILED") return failureText(facts);
  const all = spans.total === 1 ? "The span verifies" : `All ${digits(spans.total)} spans in the file verify`;
  if (!asked.log) return `${all}. Whether others are missing was not asked. ${restsOn(facts)}`;
  const gaps = logs.flatMap(({ findings }) => findings);
  const count = missingIn(gaps);
  const complete =
    count === 0
      ? `and none is missing of ${rangesText(logs)}`
      : `but for ${entries(count)} of ${rangesText(logs)} the file has no span, in ${counted(gaps.length, "gap")}`;
  return `${all}, ${complete}. ${restsOn(facts)}`;
}

/** On what the conclusion rests beside the files themselves. */
function restsOn(facts: Facts): string {
  const weak = weaknesses(facts);
  if (weak.length > 0) return `Only whoever supplied the files says ${weak.join(", and ")}.`;
  return facts.asked.log
    ? "The keys follow from a verifier key from elsewhere, and a kept checkpoint covers every entry."
    : "The keys follow from a verifier key from elsewhere.";
}

/** What only whoever supplied the files says. */
function weaknesses({ asked, logs }: Facts): string[] {
  return [
    ...(asked.vkeys.length === 0 ? ["whose the keys are"] : []),
    ...(asked.log ? logs.filter((log) => coveredBy(log) < log.to) : []).map(
      (log) => `what stands in ${rangeText({ from: Math.max(log.from, coveredBy(log)), to: log.to })} of ${log.origin}`,
    ),
  ];
}

/** What would make the conclusion stronger, each as something to ask for. */
export function nextSteps(facts: Facts): string[] {
  const { asked, keys, logs } = facts;
  if (conclusionOf(facts) === "FAILED") return [];
  const first = keys.find(({ spans }) => spans > 0);
  return [
    ...logs.flatMap(({ origin, findings }) =>
      findings.map(
        ({ entry = 0, count }) => `The spans of ${rangeText({ from: entry, to: entry + count })} of ${origin}.`,
      ),
    ),
    ...(asked.vkeys.length === 0 && first !== undefined
      ? [`The verifier key of ${first.keyId}, by another way than these files.`]
      : []),
    ...(asked.log ? logs.filter((log) => coveredBy(log) < log.to) : []).map(
      ({ origin, to }) =>
        `A checkpoint of ${entries(to)} or more of ${origin}, from somebody independent who has kept it.`,
    ),
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

function missingIn(findings: readonly FindingFacts[]): number {
  return findings.filter(({ what }) => what === "missing").reduce((sum, { count }) => sum + count, 0);
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
    ofSpans("Each span was signed by one of the keys in the keys file.", failed("UNKNOWN_KEY")),
    ofSpans(
      "Each key was in use, give or take a minute of clocks, and is not marked as compromised.",
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
      : {
          check,
          result: what === "missing" ? "gaps" : "failed",
          detail: `${digits(found)} of ${entries(checked)} ${what}`,
        };
  };
  const order = ofLog("The spans are in the order of the log.", "reordered");
  return [
    ofLog("No entry of the log is missing.", "missing"),
    ofLog("No entry is there twice.", "repeated"),
    log && anyOrder ? { ...order, result: "not performed", detail: "the file is in no order" } : order,
    ofLog("The entries, their proofs and the checkpoints fit one history of the log.", "rewritten"),
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

/** What no check here shows. */
export function notShown({ asked, logs }: Facts): string[] {
  const kept = logs.some(({ checkpoints }) => checkpoints.length > 0);
  return [
    "Whether what a span says is true. It was not changed after it was signed; it may have been wrong then.",
    "Spans that were never sent to the service, were left out to save volume (sampled away), or were refused by it.",
    ...(asked.log
      ? logs.map(({ origin, to }) => `What came after entry ${to - 1} of ${origin}.`)
      : ["Whether spans are missing: each was checked for itself, not the log as a whole."]),
    ...logs.filter(({ from }) => from > 0).map(({ origin, from }) => `The entries before ${from} of ${origin}.`),
    ...(asked.log && !kept
      ? ["Whether the log was cut off, or written anew by whoever holds the key: no kept checkpoint was given."]
      : []),
    ...(kept
      ? [
          "Who kept a checkpoint, and since when. It binds the audited party only if somebody independent of that party has held it since.",
        ]
      : []),
    ...(asked.vkeys.length === 0
      ? ["Whose the keys are: they are taken from the keys file, and nobody else vouched for them."]
      : []),
    "Whether states and dates of keys are right: nobody signs the keys file.",
    "Whether somebody else used a key, and whether clocks were right: times are those of the service that signed.",
  ];
}
