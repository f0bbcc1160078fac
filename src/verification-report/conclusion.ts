/** The conclusions that a report draws from the facts: the verdict, the checks performed, and what they do not show. */
import type { Asked, Facts, FailureReason, FindingFacts, LogFacts } from "./facts.ts";
import {
  counted,
  digits,
  entries,
  missingIn,
  nameText,
  rangesText,
  rangeText,
  reachesEnd,
  uncovered,
} from "./wording.ts";

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

/** Spans that do not verify, but for those of compromised keys that are no reason to fail. */
function failedSpans(facts: Facts): number {
  const { proven, notChecked } = ofCompromisedKeys(facts);
  return facts.spans.failures.length - proven - notChecked;
}

/**
 * Spans of a log that only a compromised key signed. Some verify, because another key's checkpoint proves their entries. Of others it is not
 * known, because their entries are not among those that were checked.
 */
export function ofCompromisedKeys({ spans, logs }: Facts): { proven: number; notChecked: number } {
  const logOf = new Map(logs.map((log) => [log.origin, { ...log, unproven: compromisedEntries(log) }]));
  let [proven, notChecked] = [0, 0];
  for (const { reason, place } of spans.failures) {
    const log = place && logOf.get(place.origin);
    if (reason !== "KEY_COMPROMISED" || log === undefined) continue;
    if (place!.entry < log.from || place!.entry >= log.to) notChecked += 1;
    else if (!log.unproven.has(place!.entry)) proven += 1;
  }
  return { proven, notChecked };
}

function compromisedEntries({ findings }: LogFacts): ReadonlySet<number | undefined> {
  return new Set(findings.filter(({ what }) => what === "compromised").map(({ entry }) => entry));
}

/** The conclusion in a sentence or two. */
export function conclusionText(facts: Facts): string {
  const { asked, logs } = facts;
  if (conclusionOf(facts) === "FAILED") return failureText(facts);
  const all = verifyText(facts);
  if (!asked.log) return `${all}. Whether others are missing was not asked. ${restsOn(facts)}`;
  const gaps = logs.flatMap(({ findings }) => findings);
  const count = missingIn(gaps);
  const complete =
    count === 0
      ? `and none is missing from ${logsText(logs)}`
      : `but ${entries(count)} ${count === 1 ? "is" : "are"} missing from ${logsText(logs)}, in ${counted(gaps.length, "gap")}`;
  return `${all}, ${complete}. ${restsOn(facts)}`;
}

/** How many spans verify, if none fails. */
function verifyText(facts: Facts): string {
  const { total } = facts.spans;
  const { notChecked } = ofCompromisedKeys(facts);
  if (notChecked > 0)
    return `${digits(total - notChecked)} of ${counted(total, "span")} in the file verify (the others are of a compromised key, and not among the entries checked)`;
  return total === 1 ? "The span verifies" : `All ${digits(total)} spans in the file verify`;
}

/** The word on which the conclusion rests beside the files themselves. */
function restsOn(facts: Facts): string {
  const weak = weaknesses(facts);
  if (weak.length > 0) return `Resting on the supplier's word alone: ${weak.join("; ")}.`;
  const keys = "The keys follow from a verifier key from elsewhere";
  if (!facts.asked.log) return `${keys}.`;
  const hasGaps = facts.logs.some(({ findings }) => findings.length > 0);
  return `${keys}, and a kept checkpoint covers every entry${hasGaps ? " that is not missing" : ""}.`;
}

/** What rests on the word of whoever supplied the files. */
function weaknesses({ asked, logs }: Facts): string[] {
  return [
    ...(asked.vkeys.length === 0 ? ["whose the keys are"] : []),
    ...fewOf(
      asked.log ? logs.filter((log) => uncovered(log).length > 0) : [],
      (log) => `what stands in ${rangesText(uncovered(log))} of ${nameText(log.origin)}`,
      (others) => `what stands in ${counted(others, "other log")}`,
    ),
  ];
}

/** What would make the conclusion stronger, each as something to ask for. */
export function nextSteps(facts: Facts): string[] {
  const { asked, keys, logs } = facts;
  if (conclusionOf(facts) === "FAILED") return [];
  const first = keys.find(({ spans }) => spans > 0);
  const gaps = logs.flatMap(({ origin, findings }) => findings.map((finding) => ({ origin, ...finding })));
  return [
    ...fewOf(
      gaps,
      ({ origin, entry = 0, count }) =>
        `The spans of ${rangeText({ from: entry, to: entry + count })} of ${nameText(origin)}.`,
      (others) => `The spans of ${counted(others, "other gap")}.`,
    ),
    ...(asked.vkeys.length === 0 && first !== undefined
      ? [`The verifier key of ${nameText(first.keyId)}, by another way than these files.`]
      : []),
    ...fewOf(
      logs.filter((log) => !reachesEnd(log)),
      ({ origin, to }) =>
        `A checkpoint of ${entries(to)} or more of ${nameText(origin)}, from somebody independent who has kept it.`,
      (others) => `Such a checkpoint of ${counted(others, "other log")}.`,
    ),
  ];
}

function failureText(facts: Facts): string {
  const { asked, spans, logs } = facts;
  const failed = failedSpans(facts);
  if (spans.total === 0) return "There are no spans in the file.";
  if (asked.log && logs.length === 0) return "There are no spans of a log in the file.";
  const others = logs.flatMap(({ findings }) => findings).filter(isOfLog);
  const said = [
    ...(failed > 0
      ? [`${digits(failed)} of ${counted(spans.total, "span")} ${failed === 1 ? "does" : "do"} not verify`]
      : []),
    ...[...new Set(others.map(({ what }) => what))].map((what) => {
      const own = others.filter((each) => each.what === what);
      return `${entries(own.reduce((sum, { count }) => sum + count, 0))} ${what}`;
    }),
    ...fewOf(
      logs.filter((log) => log.spans === 0),
      ({ origin }) => `there are no spans of ${nameText(origin)}`,
      (others) => `there are none of ${counted(others, "other log")}`,
    ),
  ].join("; ");
  return `${said.charAt(0).toUpperCase()}${said.slice(1)}.`;
}

const ofLogs: ReadonlySet<FindingFacts["what"]> = new Set(["missing", "repeated", "reordered", "rewritten"]);

/** Findings about the log as a whole, and about handovers; the others are spans that do not verify. */
function isOfLog(finding: FindingFacts): boolean {
  return ofLogs.has(finding.what) || isOfHandover(finding);
}

/** A handover that only compromised keys signed. */
function isOfHandover({ what, span }: FindingFacts): boolean {
  return what === "compromised" && span === undefined;
}

function logsText(logs: readonly LogFacts[]): string {
  const texts = fewOf(
    logs,
    (log) => `${rangeText(log)} of ${nameText(log.origin)}`,
    (others) => `those of ${counted(others, "other log")}`,
  );
  return texts.join(" and ");
}

/** More than anybody reads in a sentence are counted, so that they leave room for the words behind them. */
const mostNamed = 5;

function fewOf<Each>(all: readonly Each[], text: (each: Each) => string, ofOthers: (count: number) => string) {
  if (all.length <= mostNamed) return all.map(text);
  return [...all.slice(0, mostNamed).map(text), ofOthers(all.length - mostNamed)];
}

export function checksOf(facts: Facts): Check[] {
  const { asked, logs } = facts;
  const { vkeys } = asked;
  const check = "The keys are those that a verifier key from elsewhere leads to.";
  return [
    ...spanChecks(facts),
    ...logChecks(asked, logs),
    vkeys.length > 0
      ? {
          check,
          result: "passed",
          detail: `${counted(facts.keys.length, "key")} from ${counted(vkeys.length, "verifier key")}`,
        }
      : { check, result: "not performed", detail: "no verifier key was given" },
  ];
}

/** A span is judged up to the first check that it fails. */
function spanChecks(facts: Facts): Check[] {
  const { spans, logs } = facts;
  const { proven, notChecked } = ofCompromisedKeys(facts);
  const handovers = logs.flatMap(({ findings }) => findings.filter(isOfHandover)).length;
  const failed = (...reasons: FailureReason[]) =>
    spans.failures.filter(({ reason }) => reasons.includes(reason)).length;
  const ofSpans = (check: string, failures: number, notReached: number): Check => {
    const reached = spans.total - notReached;
    if (failures > 0) return { check, result: "failed", detail: `${digits(failures)} of ${counted(reached, "span")}` };
    if (spans.total === 0) return { check, result: "not performed", detail: "there are no spans" };
    return notReached === 0
      ? { check, result: "passed", detail: counted(reached, "span") }
      : {
          check,
          result: "not performed",
          detail: `${digits(reached)} of ${counted(spans.total, "span")}, not on the others`,
        };
  };
  const unreadable = failed("MALFORMED", "UNSIGNED");
  const [unknown, state] = [failed("UNKNOWN_KEY"), failed("KEY_STATE")];
  const changed = failed("SIGNATURE_MISMATCH", "SPAN_MISMATCH", "PROOF_INVALID");
  const ofKeys = ofSpans(
    "Each key was in use, give or take a minute of clocks, and is not marked as compromised.",
    state + failed("KEY_COMPROMISED") - proven - notChecked,
    unreadable + unknown + changed + notChecked,
  );
  return [
    ofSpans("Each span can be read and carries evidence.", unreadable, 0),
    ofSpans(
      "Each span is as it was signed: its signature or log proof holds.",
      changed,
      // Some keys were never in use, so that no signature by them is looked at.
      unreadable + unknown + state,
    ),
    ofSpans("Each span was signed by one of the keys in the keys file.", unknown, unreadable),
    handovers > 0 && ofKeys.result !== "failed"
      ? { ...ofKeys, result: "failed", detail: `${counted(handovers, "handover")} by compromised keys alone` }
      : ofKeys,
  ];
}

function logChecks({ log, anyOrder }: Asked, logs: readonly LogFacts[]): Check[] {
  const findings = logs.flatMap((each) => each.findings);
  const checked = logs.reduce((sum, { from, to }) => sum + to - from, 0);
  const there = logs.reduce((sum, { spans, handovers, announced }) => sum + spans + handovers + announced, 0);
  const ofLog = (check: string, what: FindingFacts["what"]): Check => {
    if (!log) return { check, result: "not performed", detail: "completeness was not asked" };
    const found = findings.filter((each) => each.what === what).reduce((sum, { count }) => sum + count, 0);
    return found === 0
      ? {
          check,
          result: checked === 0 ? "not performed" : "passed",
          detail: entries(what === "missing" ? checked : there),
        }
      : {
          check,
          result: what === "missing" ? "gaps" : "failed",
          detail: `${digits(found)} of ${entries(checked)} ${what}`,
        };
  };
  const order = ofLog("The spans are in the order of the log.", "reordered");
  return [
    ofLog("The files have each entry of the log.", "missing"),
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
export function notShown({ asked, logs, spans }: Facts): string[] {
  const isKept = ({ checkpoints }: LogFacts) => checkpoints.length > 0;
  const kept = logs.some(isKept);
  return [
    "Whether what a span says is true. It was not changed after it was signed; it may have been wrong then.",
    "Spans that were never sent to the service, were left out to save volume (sampled away), or were refused by it.",
    ...(asked.log
      ? fewOf(
          logs,
          (log) => {
            const after = `What came after entry ${log.to - 1} of ${nameText(log.origin)}`;
            return reachesEnd(log) ? `${after}.` : `${after}, or was cut off there: no kept checkpoint counts its end.`;
          },
          (others) => `What came after the last entry of ${counted(others, "other log")}.`,
        )
      : ["Whether spans are missing: each was checked for itself, not the log as a whole."]),
    ...fewOf(
      logs.filter(({ from }) => from > 0),
      ({ origin, from }) => `The entries before ${from} of ${nameText(origin)}.`,
      (others) => `The entries before the first that was checked of ${counted(others, "other log")}.`,
    ),
    ...(asked.log && spans.signedApart > 0
      ? [
          `Whether spans are missing beside the ${digits(spans.signedApart)} with a signature of their own: these are in no log.`,
        ]
      : []),
    ...(asked.log && !kept
      ? ["Whether the log was cut off, or written anew by whoever holds the key: no kept checkpoint was given."]
      : []),
    ...(kept
      ? [
          ...fewOf(
            logs.filter((log) => !isKept(log)),
            ({ origin }) =>
              `Whether ${nameText(origin)} was cut off, or written anew by whoever holds the key: no kept checkpoint of it was given.`,
            (others) => `The same of ${counted(others, "other log")}.`,
          ),
          "Who kept a checkpoint, and since when. It binds the audited party only if somebody independent of that party has held it since.",
        ]
      : []),
    ...(asked.vkeys.length === 0
      ? ["Whose the keys are: they are taken from the keys file, and nobody else vouched for them."]
      : []),
    "Whether states and dates of keys are right: nobody signs the keys file.",
    "Who runs the service, which holds the keys; whether somebody else used one; and whether its clock, of which the times are, was right.",
  ];
}
