/** Verdicts of `verify` on spans, each for itself, and the entries of logs that they are. */
import { counted } from "../../attestation/log-audit.ts";
import type { Range } from "../../tlog/proof-ranges.ts";
import { explanationOf, type JudgedSpan, verdictOf } from "./judged-spans.ts";
import { printLine, printTable } from "../print.ts";
import { bad, good, type Styled } from "../styled.ts";

export interface Result {
  ok: boolean;
  print(): void;
  json(): unknown;
}

export function verifyEach(spans: readonly JudgedSpan[]): Result {
  const verified = spans.filter((each) => each.verified).length;
  const failed = spans.length - verified;
  const ok = verified > 0 && failed === 0;
  return {
    ok,

    print() {
      if (spans.length === 0) return printLine("there are no spans in the file");
      const third = [...(verified > 0 ? ["signed at"] : []), ...(failed > 0 ? ["why not"] : [])].join(", or ");
      const heads = ["span", "verdict", third, ...(verified > 0 ? ["key", "state", "log"] : [])];
      printTable([heads, ...spans.map(row)]);
      for (const line of logLines(spans)) printLine(line);
      printLine((ok ? good : bad)(`${verified} of ${spans.length} verified${failed > 0 ? `, ${failed} failed` : ""}`));
    },

    json: () => ({ verified, failed, spans: spans.map(spanJson) }),
  };
}

function row(span: JudgedSpan): (string | Styled)[] {
  const { traceId = "-", spanId = "-", keyId = "", keyState = "", signedAt = "", place } = span;
  const named = [`${traceId}/${spanId}`, (span.verified ? good : bad)(verdictOf(span))];
  if (!span.verified) return [...named, explanationOf(span)];
  return [...named, signedAt, keyId, keyState, place === undefined ? "" : `entry ${place.claim.index}`];
}

/** A line for each log with verified spans. An entry that no verified span has may be another's, or a handover: `--log` knows. */
function logLines(spans: readonly JudgedSpan[]): string[] {
  const claims = spans.flatMap(({ verified, place }) => (verified && place !== undefined ? [place.claim] : []));
  const without = spans.every(({ verified }) => verified) ? "in this file" : "verified here";
  return Array.from(
    Map.groupBy(claims, ({ checkpoint }) => checkpoint.origin),
    ([origin, own]) => {
      const entries = entriesText(
        own.map(({ index }) => index),
        without,
      );
      return `log ${origin}: ${entries}; --log checks that none is missing`;
    },
  );
}

/** More ranges than anyone reads are counted. */
const shownRanges = 4;

/** `entries 0 to 4 and 7 (2 between are not in this file)`, where the last words are `without`. */
function entriesText(indices: readonly number[], without: string): string {
  const seen = [...new Set(indices)].sort((a, b) => a - b);
  const ranges: Range[] = [];
  for (const index of seen) {
    const last = ranges.at(-1);
    if (last?.end === index) last.end += 1;
    else ranges.push({ start: index, end: index + 1 });
  }
  const [first, last] = [seen[0]!, seen.at(-1)!];
  const listed = ranges.map(({ start, end }) => (end - start === 1 ? `${start}` : `${start} to ${end - 1}`));
  const named =
    ranges.length > shownRanges
      ? `${seen.length} of the entries ${first} to ${last}`
      : `${seen.length === 1 ? "entry" : "entries"} ${listed.join(", ").replace(/, (?=[^,]*$)/, " and ")}`;
  const between = last - first + 1 - seen.length;
  return between === 0 ? named : `${named} (${counted(between, "between is", "between are")} not ${without})`;
}

function spanJson(span: JudgedSpan) {
  const { traceId, spanId, verified, keyId, keyState, signedAt, message, place } = span;
  return {
    trace_id: traceId,
    span_id: spanId,
    verified,
    reason: verdictOf(span),
    message,
    key_id: keyId,
    key_state: keyState,
    signed_at: signedAt,
    log: place?.claim.checkpoint.origin,
    leaf_index: place?.claim.index,
  };
}
