/** What `verify --log` says: of each log that the spans are of, whether they are all that they should be. */
import { auditLog, counted } from "../../attestation/log-audit.ts";
import type { KnownHead } from "../../attestation/log-history.ts";
import type { Range } from "../../tlog/proof-ranges.ts";
import { reasonOfKey } from "../../attestation/verdict.ts";
import { type LogKey, logSigners } from "../../attestation/verify-log-proof.ts";
import type { Checkpoint } from "../../tlog/checkpoint.ts";
import type { KeptCheckpoint } from "../files.ts";
import { Failure } from "../command.ts";
import type { JudgedSpan } from "./judged-spans.ts";
import type { KeySet } from "./key-set.ts";
import { type Finding, handoversOf, type LogSpans, spansByLog } from "./log-spans.ts";
import { printLine, printTable, problemsCounted } from "../print.ts";
import { bad, good } from "../styled.ts";
import type { Result } from "./each-span.ts";

/** What of the logs to verify. */
export interface LogScope {
  from: number | undefined;
  to: number | undefined;
  isOrdered: boolean;
}

/** A kept checkpoint that a key of the tenant signed. */
type SignedCheckpoint = KeptCheckpoint & KnownHead;

export interface LogResult {
  origin: string;
  range: Range;
  spans: number;
  handovers: number;
  /** Handovers that were not used. */
  unused: number;
  /** The size at which the log ended, and that of the largest checkpoint at hand; undefined if it goes on. */
  ended: { size: number; known: number } | undefined;
  /** The log that ended before this one began. */
  follows: Checkpoint | undefined;
  findings: Finding[];
  /** `agrees` is undefined where the spans do not go there; `covered` are the entries that it then is of. */
  checkpoints: { file: string; size: number; agrees: boolean | undefined; covered: readonly Range[] }[];
  isOrdered: boolean;
}

export function verifyLogs(
  spans: readonly JudgedSpan[],
  about: LogScope & { keys: KeySet; kept: readonly KeptCheckpoint[] },
): Result & { logs: readonly LogResult[] } {
  const { keys, from, to } = about;
  const checkpoints = about.kept.map((each) => signedBy(keys.logKeys, each));
  const origins = [...new Set(keys.logKeys.map(({ name }) => name))];
  if (origins.length === 0) throw new Failure("the keys file names no log; save again what the service serves");
  const { logs, apart } = spansByLog(spans, origins);
  for (const { origin } of checkpoints) {
    if (!logs.has(origin)) logs.set(origin, { held: [], changed: new Set(), findings: [] });
  }
  if (logs.size > 1 && (from ?? to) !== undefined)
    throw new Failure(`the spans are of several logs (${[...logs.keys()].join(", ")}); --from and --to are for one`);
  const results = Array.from(logs, ([origin, log]) => resultOf(origin, log, { ...about, checkpoints }));
  const ok = results.length > 0 && results.every(({ spans, findings }) => spans > 0 && findings.length === 0);
  return {
    ok,
    logs: results,
    json: () => ({ ok, logs: results.map(logJson), signed_apart: apart }),
    print() {
      for (const result of results) print(result);
      if (apart > 0)
        printLine(
          `${counted(apart, "span is", "spans are")} signed apart, in no log: whether others are missing does not show`,
        );
      if (results.length === 0) printLine("there are no spans of a log in the file");
    },
  };
}

function signedBy(keys: readonly LogKey[], checkpoint: KeptCheckpoint): SignedCheckpoint {
  const signers = logSigners({ note: checkpoint.note, checkpoint }, keys) ?? [];
  if (signers.length === 0) {
    const { file, size, origin } = checkpoint;
    throw new Failure(`${file}: no key of the keys file signed the checkpoint of ${size}, which is of ${origin}`);
  }
  return { ...checkpoint, isKept: true, isTrusted: signers.some((key) => reasonOfKey(key) === "OK") };
}

function resultOf(
  origin: string,
  log: LogSpans,
  { keys, checkpoints, ...scope }: LogScope & { keys: KeySet; checkpoints: readonly SignedCheckpoint[] },
): LogResult {
  const kept = checkpoints.filter((checkpoint) => checkpoint.origin === origin);
  const recorded = keys.logKeys
    .flatMap(({ name, compromisedLog }) =>
      name === origin && compromisedLog?.origin === origin ? [compromisedLog] : [],
    )
    .map((head) => ({ ...head, isKept: false, isTrusted: true }));
  const handovers = handoversOf(origin, keys.handovers, keys.logKeys);
  const { held, changed } = log;
  const { range, findings, history } = auditLog({
    ...scope,
    spans: held,
    handovers,
    unused: keys.unused.filter((each) => each.origin === origin),
    changed,
    heads: [...kept, ...recorded],
  });
  const isWithin = ({ index }: { index: number }) => index >= range.start && index < range.end;
  const known = [...held.map(({ head }) => head.size), ...kept.map(({ size }) => size)].reduce(
    (a, b) => Math.max(a, b),
    0,
  );
  return {
    origin,
    range,
    spans: held.filter(isWithin).length,
    handovers: handovers.filter(isWithin).length,
    unused: history.fitting.length,
    ...endsOf(origin, keys, known),
    findings: [...log.findings, ...findings.map((finding) => ({ ...finding, at: finding.index }))].sort(
      (a, b) => a.at - b.at,
    ),
    checkpoints: kept.map((head) => ({
      file: head.file,
      size: head.size,
      agrees: history.agreed.has(head) || (history.differed.has(head) ? false : undefined),
      covered: history.agreed.get(head) ?? [],
    })),
    isOrdered: scope.isOrdered,
  };
}

/** Every log of a tenant but the last has ended. */
function endsOf(origin: string, { ended, logKeys }: KeySet, known: number): Pick<LogResult, "ended" | "follows"> {
  const origins = [...new Set(logKeys.map(({ name }) => name))];
  const before = origins[origins.indexOf(origin) - 1];
  const own = ended.find((head) => head.origin === origin);
  return {
    ended: own && { size: own.size, known },
    follows: ended.find((head) => head.origin === before),
  };
}

function print(result: LogResult): void {
  const { origin, range, spans, handovers, unused, findings, checkpoints } = result;
  const counts = [
    counted(spans, "span", "spans"),
    handovers > 0 && counted(handovers, "handover", "handovers"),
    unused > 0 && counted(unused, "handover that was not used", "handovers that were not used"),
  ];
  const entries = range.start === range.end ? "no entries" : `entries ${range.start} to ${range.end - 1}`;
  printLine(`log ${origin}, ${entries}: ${counts.filter(Boolean).join(", ")}`);
  for (const line of endTexts(result)) printLine(`  ${line}`);
  printTable(
    findings.map(({ what, index, name = "-", message }) => [bad(what), `entry ${index ?? "-"}`, name, message]),
    "  ",
  );
  for (const { file, size, agrees } of checkpoints) {
    const says = agrees === undefined ? "is not compared" : agrees ? "agrees" : "does not agree";
    printLine(`  checkpoint ${file}, of ${counted(size, "entry", "entries")}, ${says}`);
  }
  for (const line of notChecked(result)) printLine(`  not checked, ${line}`);
  const [first] = findings;
  const where = first === undefined ? "" : `, the first at ${first.name ?? `entry ${first.index}`}`;
  const said = spans === 0 && first === undefined ? "no spans" : problemsCounted(findings.length) + where;
  printLine((spans > 0 && first === undefined ? good : bad)(`  ${said}`));
}

function notChecked({ range, checkpoints, isOrdered }: LogResult): string[] {
  const cutOff = range.start === range.end ? "" : `cut off behind entry ${range.end - 1}, or `;
  return [
    ...(range.start > 0 ? [`before entry ${range.start}: whether any is missing`] : []),
    ...(checkpoints.length === 0 ? [`without a --checkpoint: whether the log was ${cutOff}written anew`] : []),
    ...(isOrdered ? [] : ["with --any-order: the order of the spans"]),
  ];
}

function endTexts({ ended, follows }: Pick<LogResult, "ended" | "follows">): string[] {
  const why = "when a backup was restored, or a loss was accepted";
  const texts = follows ? [`it follows ${follows.origin}, which ended at ${entries(follows.size)} ${why}`] : [];
  if (ended === undefined) return texts;
  const { size, known } = ended;
  const lost =
    known > size ? `; entries ${size} to ${known - 1}, which are in a checkpoint here, are lost to the service` : "";
  return [...texts, `it ended at ${entries(size)} ${why}${lost}`];
}

function entries(count: number): string {
  return counted(count, "entry", "entries");
}

function logJson({ origin, range, spans, handovers, unused, ended, follows, findings, checkpoints }: LogResult) {
  return {
    origin,
    ...(ended && { ended_at: ended.size }),
    ...(follows && { follows: follows.origin }),
    from: range.start,
    to: range.end,
    spans,
    handovers,
    announced: unused,
    checkpoints: checkpoints.map(({ file, size, agrees }) => ({ file, size, agrees: agrees ?? null })),
    findings: findings.map(({ what, index, count, name, message }) => ({
      what,
      leaf_index: index ?? null,
      count,
      span: name ?? null,
      message,
    })),
  };
}
