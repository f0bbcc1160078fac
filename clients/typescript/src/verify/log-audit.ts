/** Is what somebody hands over all of a log, from one entry to another, unchanged and in order? What the proof of a span cannot say of others. */
import type { Crypto } from "./crypto.ts";
import {
  type History,
  type HistoryEntry,
  historyOf,
  type KnownHead,
  type Range,
  type UnprovenEntry,
} from "./log-history.ts";

/** An entry that is a span, or a handover, which has no name. */
export interface AuditedEntry extends HistoryEntry {
  /** `<trace id>/<span id>` */
  name: string | undefined;
  /** How far the log went when the keys that signed the entry's head were marked as compromised: others may prove what lies there. */
  recordedSize: number;
}

/** One thing that is wrong with a log. */
export interface LogFinding {
  /** "changed", "foreign", "unproven" and "unreadable" are of a single span that does not verify. */
  what:
    | "missing"
    | "reordered"
    | "repeated"
    | "rewritten"
    | "compromised"
    | "changed"
    | "foreign"
    | "unproven"
    | "unreadable";
  /** Where in the log it begins; undefined for a span that claims no place in it. */
  leafIndex: number | undefined;
  /** How many entries it may be about. */
  count: number;
  /** `<trace id>/<span id>` of the first span that it is about; undefined where that is not there. */
  span: string | undefined;
  /** Of what is missing: `<trace id>/<span id>` of the spans in the entries right before and behind it, where those are there. */
  after?: string;
  before?: string;
  /** The rest of a sentence that begins with `what`. */
  message: string;
}

export type PlacedFinding = LogFinding & { leafIndex: number };

export interface LogToAudit {
  /** Those whose own proofs hold, in the order in which they were handed over. */
  spans: readonly AuditedEntry[];
  handovers: readonly AuditedEntry[];
  /** Handovers that were not used, as somebody says. They fill a gap where what comes after them proves it. */
  unused: readonly UnprovenEntry[];
  /** Indices of spans that are there but whose proofs do not hold: they are changed, not missing. */
  changed: ReadonlySet<number>;
  heads: readonly KnownHead[];
  /** What has to be there; without it, from the first span or head to the last, the heads of the spans' own proofs among them. */
  from: number | undefined;
  to: number | undefined;
  /** Whether the order in which the spans were handed over has to be the log's. */
  isOrdered: boolean;
}

export async function auditLog(
  log: LogToAudit,
  crypto: Crypto,
): Promise<{ range: Range; findings: PlacedFinding[]; history: History }> {
  const range = rangeOfAudit(log);
  const isWithin = ({ index }: { index: number }) => index >= range.start && index < range.end;
  const spans = log.spans.filter(isWithin);
  const { entries, twice } = once([...spans, ...log.handovers.filter(isWithin)]);
  const heads = log.heads.filter(({ size }) => size >= range.start && size <= range.end);
  const history = await historyOf(entries, heads, log.unused.filter(isWithin), crypto);
  const changed = [...log.changed].filter((index) => isWithin({ index }));
  const kept = new Set(entries);
  const findings = [
    ...twice,
    ...missing(entries, [...changed, ...history.fitting.map(({ index }) => index)], range),
    ...(log.isOrdered ? reordered(spans.filter((span) => kept.has(span))) : []),
    ...history.rewritten.map((each) => rewritten(each, entries)),
    ...entries.filter((entry) => !entry.isTrusted && !isProven(entry, history)).map(compromised),
  ];
  return { range, findings: findings.sort((a, b) => a.leafIndex - b.leafIndex), history };
}

function rangeOfAudit({ spans, heads, from, to }: LogToAudit): Range {
  const kept = heads.filter(({ isKept }) => isKept).map(({ size }) => size);
  const own = spans.filter(({ isTrusted }) => isTrusted).map(({ head }) => head.size);
  const first = [...spans.map(({ index }) => index), ...kept];
  const start = from ?? (first.length === 0 ? 0 : first.reduce((a, b) => Math.min(a, b)));
  const end = to ?? largest([...spans.map(({ index }) => index + 1), ...own, ...kept]);
  return { start, end: Math.max(start, end) };
}

/** 0 of none. Spread into Math.max, a million numbers would be too many arguments. */
export function largest(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => Math.max(a, b), 0);
}

/** The entries in the log's order, and those that come in the place of another. */
function once(given: readonly AuditedEntry[]): { entries: AuditedEntry[]; twice: PlacedFinding[] } {
  const present = new Map<number, AuditedEntry>();
  const twice: PlacedFinding[] = [];
  for (const entry of given) {
    const other = present.get(entry.index);
    if (other === undefined) present.set(entry.index, entry);
    else if (entry.name !== undefined) twice.push(repeated(entry, other));
    else twice.push(repeated(other, entry));
  }
  return { entries: [...present.values()].sort((a, b) => a.index - b.index), twice };
}

function missing(entries: readonly AuditedEntry[], others: readonly number[], { start, end }: Range): PlacedFinding[] {
  const there = [...entries, ...others.map((index) => ({ index, name: undefined }))].sort((a, b) => a.index - b.index);
  const findings: PlacedFinding[] = [];
  let [due, last]: [number, string | undefined] = [start, undefined];
  for (const { index, name } of [...there, { index: end, name: undefined }]) {
    if (index > due) {
      const sides = { ...(last !== undefined && { after: last }), ...(name !== undefined && { before: name }) };
      const texts = Object.entries(sides).map(([side, span]) => `${side} ${span}`);
      const message = [counted(index - due, "entry", "entries"), ...texts].join(", ");
      findings.push({ what: "missing", leafIndex: due, count: index - due, span: undefined, ...sides, message });
    }
    due = Math.max(due, index + 1);
    last = name;
  }
  return findings;
}

function repeated({ index, name }: AuditedEntry, other: AuditedEntry): PlacedFinding {
  const message = `in the place of ${other.name ?? "a handover"}`;
  return { what: "repeated", leafIndex: index, count: 1, span: name, message };
}

/** The first one that stands where another is due. */
function reordered(spans: readonly AuditedEntry[]): PlacedFinding[] {
  const sorted = spans.toSorted((a, b) => a.index - b.index);
  const at = spans.findIndex((span, i) => span !== sorted[i]);
  if (at < 0) return [];
  const [found, due] = [spans[at]!, sorted[at]!];
  const message = `entry ${found.index} stands where ${due.name}, entry ${due.index}, is due`;
  return [{ what: "reordered", leafIndex: due.index, count: 1, span: found.name, message }];
}

function rewritten({ range, by }: History["rewritten"][number], entries: readonly AuditedEntry[]): PlacedFinding {
  const { start, end } = range;
  const first = entries.find(({ index, name }) => index >= start && index < end && name !== undefined);
  const of = "isKept" in by ? `the checkpoint of size ${by.size}` : `the proof of entry ${by.index}`;
  const message = `${counted(end - start, "entry", "entries")} from ${start} on: not what ${of} is of`;
  return { what: "rewritten", leafIndex: start, count: end - start, span: first?.name, message };
}

function isProven({ index, recordedSize }: AuditedEntry, { proven }: History): boolean {
  return index < recordedSize && proven.some(({ start, end }) => index >= start && index < end);
}

function compromised({ index, name, recordedSize }: AuditedEntry): PlacedFinding {
  const message =
    index < recordedSize
      ? "signed by a compromised key alone, and in no other checkpoint that comes out"
      : `signed by a compromised key alone, past the ${counted(recordedSize, "entry", "entries")} that the log had then`;
  return { what: "compromised", leafIndex: index, count: 1, span: name, message };
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
