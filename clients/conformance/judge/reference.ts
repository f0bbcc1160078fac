/** What the service's own code says of a case, in the words of the cases. */
import { claimOf, isClaim, isLogClaim, verdict } from "../../../src/attestation/verify-span.ts";
import type { Verdict } from "../../../src/attestation/verdict.ts";
import { type LogClaim, logSigners, logVerdict } from "../../../src/attestation/verify-log-proof.ts";
import { Failure } from "../../../src/cli/command.ts";
import { checkpointsIn } from "../../../src/cli/files.ts";
import { type JudgedSpan, judgeSpans } from "../../../src/cli/verify/judged-spans.ts";
import { type KeySet, readKeySet, trustedKeySet } from "../../../src/cli/verify/key-set.ts";
import { verifyLogs } from "../../../src/cli/verify/log.ts";
import { KmsError } from "../../../src/errors.ts";
import { readVerifySpanRequest } from "../../../src/service/codec/sign-span.ts";
import { parseVerifierKey } from "../../../src/tlog/verifier-key.ts";

export interface Want extends Pick<Verdict, "reason" | "keyId" | "keyState" | "signedAt"> {
  traceId?: string;
  spanId?: string;
  log?: string;
  leafIndex?: number;
}

/** What of the logs is asked. */
export interface LogOptions {
  /** Contents of files. */
  checkpoints?: readonly string[];
  from?: number;
  to?: number;
  anyOrder?: boolean;
}

/** Undefined for a key set that is refused. */
export function keySetOf(jwks: string, vkeys: readonly string[] | undefined): KeySet | undefined {
  try {
    const keys = readKeySet(Buffer.from(jwks));
    if (vkeys === undefined) return keys;
    const first = vkeys.map(parseVerifierKey);
    return first.includes(undefined) ? undefined : trustedKeySet(keys, first as NonNullable<(typeof first)[0]>[]);
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

export function wantOfFile(file: Uint8Array, keys: KeySet, tenant: string | undefined): Want[] | "unreadable" {
  try {
    return judgeSpans(file, keys, tenant).map(({ traceId, spanId, place, ...judged }) =>
      wantOf(judged, { ...(traceId !== undefined && { traceId, spanId: spanId! }), ...placeOf(place?.claim) }),
    );
  } catch (error) {
    if (error instanceof Failure) return "unreadable";
    throw error;
  }
}

/** What `verify --log --json` prints, without messages. */
export function wantOfLog(
  file: Uint8Array,
  keys: KeySet,
  { tenant, log }: { tenant: string | undefined; log: LogOptions },
): unknown {
  const { checkpoints = [], from, to, anyOrder = false } = log;
  let spans: JudgedSpan[];
  try {
    spans = judgeSpans(file, keys, tenant);
  } catch (error) {
    if (error instanceof Failure) return "unreadable";
    throw error;
  }
  try {
    const kept = checkpoints.flatMap((text, i) => checkpointsIn(text, `checkpoint-${i}`));
    const result = verifyLogs(spans, { keys, kept, from, to, isOrdered: !anyOrder });
    return JSON.parse(JSON.stringify(result.json(), (name, value) => (name === "message" ? undefined : value)));
  } catch (error) {
    if (error instanceof Failure) return "refused";
    throw error;
  }
}

export function wantOfRequest(request: Uint8Array, keys: KeySet): Want {
  let read: ReturnType<typeof readVerifySpanRequest>;
  try {
    read = readVerifySpanRequest(request);
  } catch (error) {
    if (error instanceof KmsError) return { reason: "MALFORMED" };
    throw error;
  }
  const { traceId, spanId } = read.span;
  const claim = claimOf(read);
  if (isClaim(claim)) return wantOf(verdict(claim, keys.byId.get(claim.keyId)), { traceId, spanId });
  if (!isLogClaim(claim)) return wantOf(claim, { traceId, spanId });
  return wantOf(logVerdict(claim, logSigners(claim, keys.logKeys)), { traceId, spanId, ...placeOf(claim) });
}

function wantOf({ reason, keyId, keyState, signedAt }: Verdict, about: Omit<Want, "reason">): Want {
  return {
    ...about,
    reason,
    ...(keyId !== undefined && { keyId }),
    ...(keyState !== undefined && { keyState }),
    ...(signedAt !== undefined && { signedAt }),
  };
}

function placeOf(claim: LogClaim | undefined) {
  return claim === undefined ? {} : { log: claim.checkpoint.origin, leafIndex: claim.index };
}
