/** The service's own verifier, in this process, on what its command would read. */
import { Failure } from "../../../src/cli/command.ts";
import { checkpointsIn } from "../../../src/cli/files.ts";
import { type JudgedSpan, judgeSpans, verdictOf } from "../../../src/cli/verify/judged-spans.ts";
import { type KeySet, readKeySet, trustedKeySet } from "../../../src/cli/verify/key-set.ts";
import { verifyLogs } from "../../../src/cli/verify/log.ts";
import { factsOf, type GivenFile } from "../../../src/cli/verify/report-facts.ts";
import { parseVerifierKey } from "../../../src/tlog/verifier-key.ts";
import { conclusionOf } from "../../../src/verification-report/conclusion.ts";
import type { Case } from "./cases.ts";
import type { Outcome, Row, Verified } from "./outcome.ts";

export function commandOutcome(each: Case): Outcome {
  try {
    return verified(each);
  } catch (error) {
    if (error instanceof Failure) return { refusal: error.message };
    throw error;
  }
}

function verified({ spans: file, keys: keysFile, checkpoints, asked }: Case): Verified {
  const { log, tenant, vkeys, from, to, anyOrder } = asked;
  if (from !== undefined && to !== undefined && from >= to) throw new Failure("--from must be below --to");
  const keys = trusted(readKeySet(keysFile.bytes), vkeys);
  const kept = checkpoints.flatMap(({ name, bytes }) => checkpointsIn(Buffer.from(bytes).toString("utf8"), name));
  const spans = judgeSpans(file.bytes, keys, tenant);
  const logs = log ? verifyLogs(spans, { keys, kept, from, to, isOrdered: !anyOrder }).logs : [];
  const files = [
    { role: "spans" as const, ...file },
    { role: "keys" as const, ...keysFile },
    ...checkpoints.map((each): GivenFile => ({ role: "checkpoints", ...each })),
  ];
  const facts = factsOf(asked, files, { keys, spans, logs });
  return { facts, conclusion: conclusionOf(facts), rows: spans.map(rowOf) };
}

/** As the command reads `--vkey`. */
function trusted(keys: KeySet, vkeys: readonly string[]): KeySet {
  const first = vkeys.map((text) => {
    const key = parseVerifierKey(text);
    if (key === undefined) throw new Failure("--vkey is NAME+ID+KEY, as the keys file has them");
    if (!keys.logKeys.some(({ publicKey }) => Buffer.compare(publicKey, key.publicKey) === 0))
      throw new Failure(`the keys file has no key ${text}`);
    return key;
  });
  return first.length === 0 ? keys : trustedKeySet(keys, first);
}

function rowOf(span: JudgedSpan, index: number): Row {
  const { traceId, spanId, verified, signedAt, keyId, place } = span;
  return {
    position: index + 1,
    span: traceId === undefined ? undefined : `${traceId}/${spanId}`,
    verdict: verified ? "OK" : (verdictOf(span) as Row["verdict"]),
    signedAt,
    keyId,
    log: place?.claim.checkpoint.origin,
    entry: place?.claim.index,
  };
}
