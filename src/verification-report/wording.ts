/** The sentences in which a report, and the page that verifies, state facts. */
import type {
  Asked,
  CheckpointFacts,
  EntryRange,
  Facts,
  FailureReason,
  FindingFacts,
  KeyFacts,
  LogFacts,
  Neighbour,
} from "./facts.ts";

/** `1 span`, `1,000 spans`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${digits(count)} ${count === 1 ? one : many}`;
}

export function entries(count: number): string {
  return counted(count, "entry", "entries");
}

/** The number with a comma between thousands, in every locale. */
export function digits(count: number): string {
  return `${count}`.replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A name that the audited party gave, which must neither pass for the words around it nor push them out. */
export function nameText(name: string): string {
  const short = shortText(name);
  return /^[!-~]+…?$/.test(short) ? short : `“${short.replace(/["“”]/g, "'")}”`;
}

function shortText(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200).toWellFormed()}…` : text;
}

/** `2026-01-02 03:04:05.678 UTC` of `2026-01-02T03:04:05.678Z`. */
export function timeText(time: string): string {
  return time.replace("T", " ").replace("Z", " UTC");
}

/** `entries 0 to 41`. */
export function rangeText({ from, to }: Pick<LogFacts, "from" | "to">): string {
  if (from === to) return "no entries";
  return to - from === 1 ? `entry ${from}` : `entries ${from} to ${to - 1}`;
}

/** More ranges than anyone reads are counted. */
const mostRanges = 4;

/** `entries 0 to 127 and 133 to 200`. */
export function rangesText(ranges: readonly EntryRange[]): string {
  const [first, last] = [ranges[0], ranges.at(-1)];
  if (first === undefined || last === undefined) return "no entries";
  if (ranges.length === 1) return rangeText(first);
  if (ranges.length > mostRanges) {
    const count = ranges.reduce((sum, { from, to }) => sum + to - from, 0);
    return `${digits(count)} of the entries ${first.from} to ${last.to - 1}`;
  }
  const texts = ranges.map(({ from, to }) => (to - from === 1 ? `${from}` : `${from} to ${to - 1}`));
  return `entries ${texts.slice(0, -1).join(", ")} and ${texts.at(-1)}`;
}

/** What the checked entries are: `40 spans, 1 handover, 2 missing`. */
export function contentText({ spans, handovers, announced, findings }: LogFacts): string {
  const missing = missingIn(findings);
  return [
    counted(spans, "span"),
    ...(handovers > 0 ? [counted(handovers, "handover")] : []),
    ...(announced > 0 ? [`${counted(announced, "handover")} announced and not used`] : []),
    ...(missing > 0 ? [`${digits(missing)} missing`] : []),
  ].join(", ");
}

const reasons: Readonly<Record<FailureReason, string>> = {
  SIGNATURE_MISMATCH: "The span or its signature was changed after it was signed.",
  SPAN_MISMATCH: "The evidence is about another span.",
  PROOF_INVALID: "The log proof does not hold: the span or its proof was changed.",
  UNKNOWN_KEY: "No key in the keys file signed it.",
  KEY_STATE: "Its key was not in use when the span says it was signed.",
  KEY_COMPROMISED: "Its key is marked as compromised.",
  MALFORMED: "The span or its evidence cannot be read.",
  UNSIGNED: "The span carries no evidence.",
};

export function reasonText(reason: FailureReason): string {
  return reasons[reason];
}

/** A finding about a log, as a sentence. A gap is between two spans. */
export function findingText(finding: FindingFacts): string {
  const { what, after, before, count, message } = finding;
  if (what !== "missing") return message;
  const sides = [
    ...(after ? [`after ${neighbourText(after)}`] : []),
    ...(before ? [`before ${neighbourText(before)}`] : []),
  ];
  return [`${entries(count)} missing`, ...sides].join(", ");
}

function neighbourText({ span, signedAt }: Neighbour): string {
  return signedAt === undefined ? span : `${span} (signed ${timeText(signedAt)})`;
}

/** `entry 7`, `entries 7 to 9`, or `–` for a span that claims no place. */
export function placeText({ entry, count }: FindingFacts): string {
  if (entry === undefined) return "–";
  return rangeText({ from: entry, to: entry + count });
}

export function voucherText({ vouchedBy }: KeyFacts): string {
  switch (vouchedBy.by) {
    case "asker":
      return "a verifier key that the person who asked trusts";
    case "handover":
      return `key ${nameText(vouchedBy.fromKeyId)}, handover in entry ${vouchedBy.entry}`;
    case "file":
      return "the keys file alone";
  }
}

/** When a key was in use: the beginning and the end, each with words where there is none. */
export function validityTexts({ validFrom, validUntil }: KeyFacts): [string, string] {
  const from = validFrom === undefined ? "from its creation" : `from ${timeText(validFrom)}`;
  return [from, validUntil === undefined ? "without an end so far" : `to ${timeText(validUntil)}`];
}

/** How far a log is complete, and on whose word. */
export function completenessText(log: LogFacts, { keptBy }: Asked): string {
  const checked = `Checked: ${rangeText(log)}; ${missingText(log.findings)}.`;
  const kept = latestAgreeing(log);
  if (kept === undefined)
    return `${checked} No kept checkpoint covers them: whoever holds the key could have cut the log off, or written it anew.`;
  const time = kept.covers === undefined ? "" : ` The latest span among these was signed at ${timeText(kept.covers)}.`;
  const by =
    keptBy === undefined
      ? "Who kept it was not said."
      : `Whoever asked says, and nothing checks, that it was kept by: ${shortText(keptBy)}.`;
  const inside = log.findings.filter(({ what, entry }) => what === "missing" && entry! < kept.size);
  const were = inside.length === 0 ? "" : ` What is missing before entry ${kept.size} was in the log when it was made.`;
  const others = uncovered(log);
  const rest = others.length === 0 ? "" : ` No kept checkpoint covers ${rangesText(others)}.`;
  return `${checked} The checkpoint in ${nameText(kept.name)} covers ${rangesText(kept.covered)}.${time} ${by}${were}${rest}`;
}

/** How many entries are missing. */
export function missingIn(findings: readonly FindingFacts[]): number {
  return findings.filter(({ what }) => what === "missing").reduce((sum, { count }) => sum + count, 0);
}

function missingText(findings: readonly FindingFacts[]): string {
  const missing = missingIn(findings);
  return missing === 0 ? "none is missing" : `${digits(missing)} missing, as listed below`;
}

/** The checked entries that no kept checkpoint is shown to be of, but for those that are missing. */
export function uncovered({ from, to, checkpoints, findings }: LogFacts): EntryRange[] {
  const known = [
    ...checkpoints.flatMap(({ covered }) => covered),
    ...findings
      .filter(({ what }) => what === "missing")
      .map(({ entry, count }) => ({ from: entry!, to: entry! + count })),
  ].sort((a, b) => a.from - b.from);
  const ranges: EntryRange[] = [];
  let next = from;
  for (const range of [...known, { from: to, to }]) {
    if (range.from > next) ranges.push({ from: next, to: Math.min(range.from, to) });
    next = Math.max(next, range.to);
    if (next >= to) break;
  }
  return ranges;
}

/** Whether a kept checkpoint that agrees counts all entries that were checked. */
export function reachesEnd(log: LogFacts): boolean {
  return (latestAgreeing(log)?.size ?? 0) >= log.to;
}

function latestAgreeing({ checkpoints }: LogFacts): CheckpointFacts | undefined {
  return checkpoints.filter(({ agrees }) => agrees === true).toSorted((a, b) => b.size - a.size)[0];
}

const markedStates: ReadonlySet<KeyFacts["state"]> = new Set(["COMPROMISED", "DISABLED"]);

/** What happened to keys and logs in their lives, one sentence each. */
export function eventTexts({ keys, handovers, logs }: Facts): string[] {
  const marked = keys.filter(({ state, compromisedAt }) => compromisedAt !== undefined || markedStates.has(state));
  return [
    ...(marked.length === 0
      ? ["None of these keys is marked as compromised or disabled in the keys file, which nobody signs."]
      : []),
    ...keys
      .filter(({ state, compromisedAt }) => state === "COMPROMISED" || compromisedAt !== undefined)
      .map(({ keyId, compromisedAt }) => {
        const when = compromisedAt === undefined ? "" : ` at ${timeText(compromisedAt)}`;
        return `Key ${nameText(keyId)} was marked as compromised${when}. What it alone signed proves nothing.`;
      }),
    ...keys
      .filter(({ state }) => state === "DISABLED")
      .map(
        ({ keyId }) =>
          `Key ${nameText(keyId)} is disabled. What it signed before stands; it can hand over to no other key.`,
      ),
    ...keys
      .filter(({ state }) => state === "DESTROYED" || state === "DESTROY_SCHEDULED")
      .map(
        ({ keyId, state }) =>
          `Key ${nameText(keyId)} ${state === "DESTROYED" ? "was destroyed" : "is to be destroyed"}. What it signed stands.`,
      ),
    ...handovers.map(
      ({ origin, entry, fromKeyId, toKeyId }) =>
        `Key ${nameText(fromKeyId)} handed over to key ${nameText(toKeyId)} in entry ${entry} of ${nameText(origin)}.`,
    ),
    ...logs.flatMap(({ origin, endedAt, follows }) => [
      ...(follows
        ? [`Log ${nameText(origin)} follows ${nameText(follows.origin)}, which ended at ${entries(follows.endedAt)}.`]
        : []),
      ...(endedAt === undefined
        ? []
        : [`Log ${nameText(origin)} ended at ${entries(endedAt)}, when a backup was restored or a loss was accepted.`]),
    ]),
  ];
}
