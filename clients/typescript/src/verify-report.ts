/** Verdicts on spans and on logs for people, as lines, and for programs, as JSON: what the service's own `fluo-kms verify` prints. */
import { explanations, type LogReport, type LogResult, type Verdict } from "./verify.ts";

export interface Report {
  ok: boolean;
  /** Must be printed by oneLine: others wrote parts of them. */
  lines: string[];
  json: unknown;
}

/** What was asked of the command. */
export interface Performed {
  /** Whether the spans were to be all of their logs', or each is for itself. */
  log: boolean;
  /** Whether they were to be in the log's order. */
  ordered: boolean;
  /** Whether checkpoints were given. */
  kept: boolean;
  /** Whether verifier keys were given. */
  pinned: boolean;
}

export function reportOnSpans(verdicts: readonly Verdict[], performed: Performed): Report {
  const verified = verdicts.filter((each) => each.verified).length;
  const failed = verdicts.length - verified;
  return {
    ok: verified > 0 && failed === 0,
    lines:
      verdicts.length === 0
        ? ["there are no spans in the file"]
        : [...spanLines(verdicts, verified, failed), ...closingLines(performed)],
    json: { verified, failed, spans: verdicts.map(spanJson) },
  };
}

function spanLines(verdicts: readonly Verdict[], verified: number, failed: number): string[] {
  const third = [...(verified > 0 ? ["signed at"] : []), ...(failed > 0 ? ["why not"] : [])].join(", or ");
  const heads = ["span", "verdict", third, ...(verified > 0 ? ["key", "state", "log"] : [])];
  const end = `${verified} of ${verdicts.length} verified${failed > 0 ? `, ${failed} failed` : ""}`;
  return [...table([heads, ...verdicts.map(spanRow)]), ...entriesOfLogs(verdicts), end];
}

function spanRow(verdict: Verdict): string[] {
  const { verified, reason, keyId = "", keyState = "", signedAt = "", leafIndex, message } = verdict;
  const { traceId = "-", spanId = "-" } = verdict;
  const named = [`${traceId}/${spanId}`, reasonOf(verdict)];
  if (!verified) return [...named, message ?? explanations[reason]];
  return [...named, signedAt, keyId, keyState, leafIndex === undefined ? "" : `entry ${leafIndex}`];
}

function reasonOf({ unsigned, reason }: Verdict): string {
  return unsigned ? "UNSIGNED" : reason;
}

/** A line for each log with verified spans. An entry that no verified span has may be another's, or a handover: `--log` knows. */
function entriesOfLogs(verdicts: readonly Verdict[]): string[] {
  const placed = verdicts.filter(({ verified, log }) => verified && log !== undefined);
  const without = verdicts.every(({ verified }) => verified) ? "in this file" : "verified here";
  return [...new Set(placed.map(({ log }) => log))].map((log) => {
    const own = placed.filter((each) => each.log === log);
    return `log ${log}: ${entriesText(own, without)}; --log checks that none is missing`;
  });
}

/** More ranges than anyone reads are counted. */
const shownRanges = 4;

/** `entries 0 to 4 and 7 (2 between are not in this file)`, where the last words are `without`. */
function entriesText(verdicts: readonly Verdict[], without: string): string {
  const seen = [...new Set(verdicts.map(({ leafIndex }) => leafIndex!))].sort((a, b) => a - b);
  const ranges: { first: number; last: number }[] = [];
  for (const index of seen) {
    const range = ranges.at(-1);
    if (range?.last === index - 1) range.last = index;
    else ranges.push({ first: index, last: index });
  }
  const [first, last] = [seen[0]!, seen.at(-1)!];
  const listed = ranges.map((range) => (range.first === range.last ? range.first : `${range.first} to ${range.last}`));
  const named =
    ranges.length > shownRanges
      ? `${seen.length} of the entries ${first} to ${last}`
      : `${seen.length === 1 ? "entry" : "entries"} ${listed.join(", ").replace(/, (?=[^,]*$)/, " and ")}`;
  const between = last - first + 1 - seen.length;
  return between === 0 ? named : `${named} (${counted(between, "between is", "between are")} not ${without})`;
}

function spanJson(verdict: Verdict) {
  const { traceId, spanId, verified, message, keyId, keyState, signedAt, log, leafIndex } = verdict;
  return {
    trace_id: traceId,
    span_id: spanId,
    verified,
    reason: reasonOf(verdict),
    message,
    key_id: keyId,
    key_state: keyState,
    signed_at: signedAt,
    log,
    leaf_index: leafIndex,
  };
}

export function reportOnLogs({ ok, logs, signedApart }: LogReport, performed: Performed): Report {
  const spans = counted(signedApart, "span is", "spans are");
  return {
    ok,
    lines: [
      ...logs.flatMap((log) => logLines(log, performed)),
      ...(signedApart > 0 ? [`${spans} signed apart, in no log: whether others are missing does not show`] : []),
      ...(logs.length === 0 ? ["there are no spans of a log in the file"] : closingLines(performed)),
    ],
    json: { ok, logs: logs.map(logJson), signed_apart: signedApart },
  };
}

function logLines(log: LogResult, { ordered }: Performed): string[] {
  const { origin, from, to, spans, handovers, announced, checkpoints, findings } = log;
  const counts = [
    counted(spans, "span", "spans"),
    ...(handovers > 0 ? [counted(handovers, "handover", "handovers")] : []),
    ...(announced > 0 ? [counted(announced, "handover that was not used", "handovers that were not used")] : []),
  ];
  const range = from === to ? "no entries" : `entries ${from} to ${to - 1}`;
  const rows = findings.map(({ what, leafIndex = "-", span = "-", message }) => [
    what,
    `entry ${leafIndex}`,
    span,
    message,
  ]);
  const about = [...endTexts(log), ...table(rows), ...checkpoints.map(checkpointText), ...notChecked(log, ordered)];
  return [`log ${origin}, ${range}: ${counts.join(", ")}`, ...[...about, lastText(log)].map((line) => `  ${line}`)];
}

function endTexts({ endedAt, follows, known }: LogResult): string[] {
  const why = "when a backup was restored, or a loss was accepted";
  const texts = follows ? [`it follows ${follows.origin}, which ended at ${entries(follows.endedAt)} ${why}`] : [];
  if (endedAt === undefined) return texts;
  const lost =
    known > endedAt
      ? `; entries ${endedAt} to ${known - 1}, which are in a checkpoint here, are lost to the service`
      : "";
  return [...texts, `it ended at ${entries(endedAt)} ${why}${lost}`];
}

function checkpointText({ name, size, agrees }: LogResult["checkpoints"][number]): string {
  const says = agrees === undefined ? "is not compared" : agrees ? "agrees" : "does not agree";
  return `checkpoint ${name}, of ${entries(size)}, ${says}`;
}

function notChecked({ from, to, checkpoints }: LogResult, ordered: boolean): string[] {
  const cutOff = from === to ? "" : `cut off behind entry ${to - 1}, or `;
  return [
    ...(from > 0 ? [`not checked, before entry ${from}: whether any is missing`] : []),
    ...(checkpoints.length === 0
      ? [`not checked, without a --checkpoint: whether the log was ${cutOff}written anew`]
      : []),
    ...(ordered ? [] : ["not checked, with --any-order: the order of the spans"]),
  ];
}

function lastText({ spans, findings }: LogResult): string {
  const [first] = findings;
  if (first === undefined) return spans === 0 ? "no spans" : "no problems";
  return `${counted(findings.length, "problem", "problems")}, the first at ${first.span ?? `entry ${first.leafIndex}`}`;
}

/** What was checked, and what no check shows, whatever came of it. */
function closingLines({ log, ordered, kept, pinned }: Performed): string[] {
  const checks = [
    "each span's signature or log proof",
    "the state of each key",
    ...(log ? ["that no entry is missing, repeated or rewritten"] : []),
    ...(log && ordered ? ["the order of the spans"] : []),
    ...(kept ? ["the kept checkpoints"] : []),
    ...(pinned ? ["that the keys follow from a --vkey"] : []),
  ];
  const limits = [
    "that what a span says is true",
    "spans never sent or sampled away",
    log ? "what came after the last entry" : "whether spans are missing",
    ...(log && !kept ? ["whether the log was cut off or written anew"] : []),
    ...(kept ? ["that a checkpoint binds a party that kept it itself"] : []),
    ...(pinned ? [] : ["whose the keys are"]),
  ];
  return [`The following checks were performed: ${checks.join("; ")}.`, `Not shown: ${limits.join("; ")}.`];
}

function logJson({ origin, endedAt, follows, from, to, spans, handovers, announced, ...about }: LogResult) {
  return {
    origin,
    ...(endedAt !== undefined && { ended_at: endedAt }),
    ...(follows && { follows: follows.origin }),
    from,
    to,
    spans,
    handovers,
    announced,
    checkpoints: about.checkpoints.map(({ name, size, agrees = null }) => ({ file: name, size, agrees })),
    findings: about.findings.map(({ what, leafIndex = null, count, span = null, message }) => ({
      what,
      leaf_index: leafIndex,
      count,
      span,
      message,
    })),
  };
}

function entries(count: number): string {
  return counted(count, "entry", "entries");
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Rows as columns, two spaces apart, the last cell of a row ragged. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [i, cell] of row.slice(0, -1).entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows.map((row) => {
    const cells = row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!)));
    return cells.join("  ").trimEnd();
  });
}

/** Characters that steer a terminal: C0, DEL, C1, all that Unicode calls Bidi_Control, LINE SEPARATOR and PARAGRAPH SEPARATOR. */
const steering = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** A line that stays on its line and cannot steer a terminal, whoever wrote what is in it. */
export function oneLine(text: string): string {
  return text.replace(steering, "?");
}

/** JSON with escapes for characters that steer: within strings alone it has any but white space. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, undefined, 2).replace(steering, (character) =>
    character === "\n" ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
