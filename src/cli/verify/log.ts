/** What `verify --log` says: of each log that the spans are of, whether they are all that they should be. */
import { auditLog, counted } from "../../attestation/log-audit.ts";
import type { KnownHead } from "../../attestation/log-history.ts";
import type { Range } from "../../tlog/proof-ranges.ts";
import { reasonOfKey } from "../../attestation/verdict.ts";
import { type LogKey, logSigners } from "../../attestation/verify-log-proof.ts";
import type { KeptCheckpoint } from "../files.ts";
import { Failure } from "../command.ts";
import type { JudgedSpan } from "./judged-spans.ts";
import type { KeySet } from "./key-set.ts";
import { type Finding, handoversOf, type LogSpans, spansByLog } from "./log-spans.ts";
import { printLine, printTable, problemsCounted } from "../print.ts";
import type { Result } from "./each-span.ts";

/** What of the logs to verify. */
export interface LogScope {
  from: number | undefined;
  to: number | undefined;
  isOrdered: boolean;
}

/** A kept checkpoint that a key of the tenant signed. */
type SignedCheckpoint = KeptCheckpoint & KnownHead;

interface LogResult {
  origin: string;
  range: Range;
  spans: number;
  handovers: number;
  /** Handovers that were not used. */
  unused: number;
  findings: Finding[];
  /** `agrees` is undefined where the spans do not go there. */
  checkpoints: { file: string; size: number; agrees: boolean | undefined }[];
}

export function verifyLogs(
  spans: readonly JudgedSpan[],
  about: LogScope & { keys: KeySet; kept: readonly KeptCheckpoint[] },
): Result {
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
    json: () => ({ ok, logs: results.map(logJson), signed_apart: apart }),
    print() {
      for (const result of results) print(result);
      if (apart > 0) printLine(`${counted(apart, "span is", "spans are")} signed apart, in no log`);
      if (results.length === 0) printLine("there are no spans of a log in the file");
    },
  };
}

function signedBy(keys: readonly LogKey[], checkpoint: KeptCheckpoint): SignedCheckpoint {
  const signers = logSigners({ note: checkpoint.note, checkpoint }, keys) ?? [];
  if (signers.length === 0)
    throw new Failure(`${checkpoint.file}: no key of the keys file signed the checkpoint of ${checkpoint.size}`);
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
  return {
    origin,
    range,
    spans: held.filter(isWithin).length,
    handovers: handovers.filter(isWithin).length,
    unused: history.fitting.length,
    findings: [...log.findings, ...findings.map((finding) => ({ ...finding, at: finding.index }))].sort(
      (a, b) => a.at - b.at,
    ),
    checkpoints: kept.map((head) => ({
      file: head.file,
      size: head.size,
      agrees: history.agreed.has(head) || (history.differed.has(head) ? false : undefined),
    })),
  };
}

function print({ origin, range, spans, handovers, unused, findings, checkpoints }: LogResult): void {
  const counts = [
    counted(spans, "span", "spans"),
    handovers > 0 && counted(handovers, "handover", "handovers"),
    unused > 0 && counted(unused, "handover that was not used", "handovers that were not used"),
  ];
  const entries = range.start === range.end ? "no entries" : `entries ${range.start} to ${range.end - 1}`;
  printLine(`log ${origin}, ${entries}: ${counts.filter(Boolean).join(", ")}`);
  printTable(
    findings.map(({ what, index, name = "-", message }) => [what, `entry ${index ?? "-"}`, name, message]),
    "  ",
  );
  for (const { file, size, agrees } of checkpoints) {
    const says = agrees === undefined ? "is not compared" : agrees ? "agrees" : "does not agree";
    printLine(`  checkpoint ${file}, of ${counted(size, "entry", "entries")}, ${says}`);
  }
  const [first] = findings;
  const where = first === undefined ? "" : `, the first at ${first.name ?? `entry ${first.index}`}`;
  printLine(`  ${spans === 0 && first === undefined ? "no spans" : problemsCounted(findings.length) + where}`);
}

function logJson({ origin, range, spans, handovers, unused, findings, checkpoints }: LogResult) {
  return {
    origin,
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
