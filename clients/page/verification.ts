/**
 * Verifies files that somebody gave, and says what came of it: as facts of a report, span by span, and one span step by step. It runs in a
 * worker of the page, and needs no DOM.
 */
import type { Asked, Facts, FailureReason } from "../../src/verification-report/facts.ts";
import { type Explanation, explainSpan } from "../typescript/src/verify/explain.ts";
import { type JudgedSpan, judgeExport, readSpanAt } from "../typescript/src/verify/judged-export.ts";
import { reportOf } from "../typescript/src/verify/log.ts";
import { explanations, type KeySet, KeySetError, LogError, parseKeySet } from "../typescript/src/verify.ts";
import { factsOf, nameOf, reasonOf } from "./facts.ts";

export type { Detail, Explanation, Step } from "../typescript/src/verify/explain.ts";

export interface NamedFile {
  name: string;
  bytes: Uint8Array<ArrayBuffer>;
}

export interface Question {
  spans: NamedFile;
  keys: NamedFile;
  checkpoints: readonly NamedFile[];
  asked: Asked;
}

export interface Verification {
  facts: Facts;
  /** One for each span of the file, in order. */
  rows: readonly SpanRow[];
  /** The evidence of a span, by its position from 1. */
  explain(position: number): Promise<Explanation>;
}

export interface SpanRow {
  /** Its place in the file, from 1. */
  position: number;
  /** `<trace id>/<span id>`; undefined where the span cannot be read. */
  span: string | undefined;
  /** The span's own name. */
  name: string | undefined;
  verdict: "OK" | FailureReason;
  /** What is wrong, for people; empty if nothing is. */
  message: string;
  signedAt: string | undefined;
  keyId: string | undefined;
  /** Origin of the log, and the entry's index there. */
  log: string | undefined;
  entry: number | undefined;
}

/**
 * Throws an Error whose message is a sentence for people, where the question cannot be answered at all. `done` of `total` are bytes of the
 * spans file, not spans: how many there are shows at its end.
 */
export async function verifyFiles(
  { spans, keys, checkpoints, asked }: Question,
  onProgress: (done: number, total: number) => void,
): Promise<Verification> {
  const { log, tenant, vkeys, from, to, anyOrder } = asked;
  if (from !== undefined && to !== undefined && from >= to)
    throw new LogError("the size to begin behind must be below the size to end with");
  if (!log && checkpoints.length > 0) throw new LogError("checkpoints are for a log: ask for completeness, too");
  const keySet = await trusted(await parseKeySet(keysText(keys.bytes)), vkeys);
  const judged = await judgeExport(keySet, spans.bytes, { tenant, onProgress });
  const texts = checkpoints.map(({ name, bytes }) => ({ name, text: checkpointText(bytes) }));
  const { logs } = log ? await reportOf(judged, keySet, { from, to, anyOrder, checkpoints: texts }) : { logs: [] };
  const origins = judged.map(({ origin }) => origin);
  return {
    facts: await factsOf({ spans, keys, checkpoints, asked }, keySet, judged, logs),
    rows: judged.map(rowOf),
    explain: async (position) => explainSpan(readSpanAt(spans.bytes, origins[position - 1]!), keySet, tenant),
  };
}

/** Keeps its byte order mark, which is for the key set to pass over. */
function keysText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new KeySetError("the keys file is not UTF-8; save what jwks.json answers");
  }
}

/** Keeps its byte order mark, too: of two of them one is of what was signed. */
function checkpointText(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

async function trusted(keys: KeySet, vkeys: readonly string[]): Promise<KeySet> {
  for (const vkey of vkeys) if (!(await keys.has(vkey))) throw new KeySetError(`the keys file has no key ${vkey}`);
  return vkeys.length === 0 ? keys : keys.trusting(vkeys);
}

function rowOf({ verdict, name }: JudgedSpan, index: number): SpanRow {
  const { verified, message, reason, signedAt, keyId, log, leafIndex } = verdict;
  return {
    position: index + 1,
    span: nameOf(verdict),
    name,
    verdict: verified ? "OK" : reasonOf(verdict),
    message: message ?? explanations[reason],
    signedAt,
    keyId,
    log,
    entry: leafIndex,
  };
}
