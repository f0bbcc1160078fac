/**
 * Verifies files that somebody gave, and says what came of it: as facts of a report, span by span, and one span step by step. It runs in a
 * worker of the page, and needs no DOM.
 */
import type { Asked, Facts, FailureReason } from "../../src/verification-report/facts.ts";
import { webCrypto } from "../typescript/src/verify/crypto.ts";
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
  /** In the file, from 1. */
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

/** The browser has no Ed25519, without which no evidence of any kind can be checked. */
export class NoEd25519Error extends Error {
  override readonly name = "NoEd25519Error";
}

/**
 * Throws an Error whose message is a sentence for people, where the question cannot be answered at all. `done` of `total` are bytes of the
 * spans file, not spans: how many there are shows at its end.
 */
export async function verifyFiles(
  { spans, keys, checkpoints, asked }: Question,
  onProgress: (done: number, total: number) => void,
): Promise<Verification> {
  await needEd25519();
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

const hex = (text: string) => Uint8Array.from(text.match(/../g)!, (digits) => Number.parseInt(digits, 16));
/** TEST 1 of RFC 8032, 7.1, whose message is empty. */
const [publicKey, signature] = [
  hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
  hex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  ),
];

/** Before any work: platforms without Ed25519 would tell of it at the first span with a signature, or not at all. */
async function needEd25519(): Promise<void> {
  const isThere = await (async () => webCrypto().isSignedBy(publicKey, new Uint8Array(), signature))().catch(
    () => false,
  );
  if (!isThere)
    throw new NoEd25519Error(
      "This browser cannot check Ed25519 signatures, on which all evidence rests. Open the page in Chrome or Edge 137, Firefox 129, Safari 17 or later, or verify with the command fluo-kms verify.",
    );
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
