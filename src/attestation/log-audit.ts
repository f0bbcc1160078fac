/**
 * Is what somebody hands over all of a log, from one entry to another, unchanged and in order? Pure; the one question that the proof of a
 * span cannot answer about the others.
 */
import { type History, type HistoryEntry, historyOf, type KnownHead, type UnprovenEntry } from "./log-history.ts";
import type { Range } from "../tlog/proof-ranges.ts";

/** An entry that is a span, or a handover, which has no name. */
export interface AuditedEntry extends HistoryEntry {
  /** `<trace id>/<span id>` */
  name: string | undefined;
  /** Where only compromised keys signed its head: how far the log went when they were marked. What lies there may be proven by others. */
  recordedSize: number;
}

export interface LogFinding {
  what: "missing" | "reordered" | "repeated" | "rewritten" | "compromised";
  /** Where in the log it begins. */
  index: number;
  /** How many entries it may be about. */
  count: number;
  /** The first span that it is about; undefined where that is not there. */
  name: string | undefined;
  /** The spans next to missing entries, where there are some. */
  after?: string | undefined;
  before?: string | undefined;
  /** The rest of a sentence that begins with `what`. */
  message: string;
}

export interface LogAudit {
  range: Range;
  findings: LogFinding[];
  history: History;
}

export interface LogToAudit {
  /** Those whose own proofs hold, in the order in which they were handed over. */
  spans: readonly AuditedEntry[];
  handovers: readonly AuditedEntry[];
  /** Handovers that were not used, as somebody says. They fill a gap where what comes after them proves it. */
  unused?: readonly UnprovenEntry[] | undefined;
  /** Indices of spans that are there but whose proofs do not hold: they are changed, not missing. */
  changed: ReadonlySet<number>;
  heads: readonly KnownHead[];
  /** What has to be there; without it, from the first span or head to the last, the heads of the spans' own proofs among them. */
  from?: number | undefined;
  to?: number | undefined;
  /** Whether the order in which the spans were handed over has to be the log's. */
  isOrdered: boolean;
}

export function auditLog(log: LogToAudit): LogAudit {
  const range = rangeOfAudit(log);
  const isWithin = ({ index }: { index: number }) => index >= range.start && index < range.end;
  const spans = log.spans.filter(isWithin);
  const { entries, twice } = once([...spans, ...log.handovers.filter(isWithin)]);
  const history = historyOf(
    entries,
    log.heads.filter(({ size }) => size >= range.start && size <= range.end),
    log.unused?.filter(isWithin),
  );
  const kept = new Set(entries);
  const findings = [
    ...twice,
    ...missing(
      entries,
      [...[...log.changed].filter((index) => isWithin({ index })), ...history.fitting.map(({ index }) => index)],
      range,
    ),
    ...(log.isOrdered ? reordered(spans.filter((span) => kept.has(span))) : []),
    ...history.rewritten.map((each) => rewritten(each, entries)),
    ...entries.filter((entry) => !entry.isTrusted && !isProven(entry, history)).map(compromised),
  ];
  return { range, findings: findings.sort((a, b) => a.index - b.index), history };
}

function rangeOfAudit({ spans, heads, from, to }: LogToAudit): Range {
  const kept = heads.filter(({ isKept }) => isKept).map(({ size }) => size);
  const own = spans.filter(({ isTrusted }) => isTrusted).map(({ head }) => head.size);
  const start = from ?? least([...spans.map(({ index }) => index), ...kept]);
  const end = to ?? most([...spans.map(({ index }) => index + 1), ...own, ...kept]);
  return { start, end: Math.max(start, end) };
}

/** The entries in the log's order, and those that come in the place of another. */
function once(given: readonly AuditedEntry[]): { entries: AuditedEntry[]; twice: LogFinding[] } {
  const present = new Map<number, AuditedEntry>();
  const twice: LogFinding[] = [];
  for (const entry of given) {
    const other = present.get(entry.index);
    if (other === undefined) present.set(entry.index, entry);
    else if (entry.name !== undefined) twice.push(repeated(entry, other));
    else twice.push(repeated(other, entry));
  }
  return { entries: [...present.values()].sort((a, b) => a.index - b.index), twice };
}

function missing(entries: readonly AuditedEntry[], changed: readonly number[], { start, end }: Range): LogFinding[] {
  const there = [...entries, ...changed.map((index) => ({ index, name: undefined }))].sort((a, b) => a.index - b.index);
  const findings: LogFinding[] = [];
  let [due, before]: [number, string | undefined] = [start, undefined];
  for (const { index, name } of [...there, { index: end, name: undefined }]) {
    if (index > due) findings.push(gap(due, index - due, [before, name]));
    due = Math.max(due, index + 1);
    before = name;
  }
  return findings;
}

function gap(index: number, count: number, [after, before]: (string | undefined)[]): LogFinding {
  const sides = [after && `after ${after}`, before && `before ${before}`].filter((side) => side !== undefined);
  const message = [counted(count, "entry", "entries"), ...sides].join(", ");
  return { what: "missing", index, count, name: undefined, after, before, message };
}

function repeated({ index, name }: AuditedEntry, other: AuditedEntry): LogFinding {
  const message = `in the place of ${other.name ?? "a handover"}`;
  return { what: "repeated", index, count: 1, name, message };
}

/** The first one that stands where another is due. */
function reordered(spans: readonly AuditedEntry[]): LogFinding[] {
  const sorted = spans.toSorted((a, b) => a.index - b.index);
  const at = spans.findIndex((span, i) => span !== sorted[i]);
  if (at < 0) return [];
  const [found, due] = [spans[at]!, sorted[at]!];
  const message = `entry ${found.index} stands where ${due.name}, entry ${due.index}, is due`;
  return [{ what: "reordered", index: due.index, count: 1, name: found.name, message }];
}

function rewritten({ range, by }: History["rewritten"][number], entries: readonly AuditedEntry[]): LogFinding {
  const { start, end } = range;
  const name = entries.find((entry) => entry.index >= start && entry.index < end && entry.name !== undefined)?.name;
  const of = "isKept" in by ? `the checkpoint of size ${by.size}` : `the proof of entry ${by.index}`;
  const message = `${counted(end - start, "entry", "entries")} from ${start} on: not what ${of} is of`;
  return { what: "rewritten", index: start, count: end - start, name, message };
}

function isProven({ index, recordedSize }: AuditedEntry, { proven }: History): boolean {
  return index < recordedSize && proven.some(({ start, end }) => index >= start && index < end);
}

function compromised({ index, name, recordedSize }: AuditedEntry): LogFinding {
  const message =
    index < recordedSize
      ? "signed by a compromised key alone, and in no other checkpoint that comes out"
      : `signed by a compromised key alone, past the ${counted(recordedSize, "entry", "entries")} that the log had then`;
  return { what: "compromised", index, count: 1, name, message };
}

export function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Spread into Math.min, a million numbers would be too many arguments. */
function least(numbers: readonly number[]): number {
  return numbers.length === 0 ? 0 : numbers.reduce((a, b) => Math.min(a, b));
}

function most(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => Math.max(a, b), 0);
}
