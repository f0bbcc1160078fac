/** The facts of a verification, for its report. */
import { createHash } from "node:crypto";
import type {
  Asked,
  Exhibit,
  Facts,
  FindingFacts,
  HandoverFacts,
  KeyFacts,
  LogFacts,
  Neighbour,
  Period,
  SpanFacts,
  SpanFailure,
} from "../../verification-report/facts.ts";
import { periodOf } from "../../verification-report/period.ts";
import type { Range } from "../../tlog/proof-ranges.ts";
import { explanationOf, type JudgedSpan, verdictOf } from "./judged-spans.ts";
import type { KeySet } from "./key-set.ts";
import type { LogResult } from "./log.ts";
import { heldHandovers } from "./log-spans.ts";

export interface GivenFile {
  role: Exhibit["role"];
  /** The file's name, as it was given. */
  name: string;
  bytes: Uint8Array;
}

/** `keys` are those that are trusted; `logs` are empty unless completeness was asked. */
export function factsOf(
  asked: Asked,
  files: readonly GivenFile[],
  { keys, spans, logs }: { keys: KeySet; spans: readonly JudgedSpan[]; logs: readonly LogResult[] },
): Facts {
  return {
    exhibits: files.map(({ role, name, bytes }) => ({ role, name, bytes: bytes.length, sha256: sha256(bytes) })),
    asked,
    spans: spanFacts(spans),
    logs: logs.map((log) => logFacts(log, spans)),
    keys: keyFacts(keys, asked.vkeys.length > 0, spans),
    keysPassedOver: keys.unknown,
    handovers: handoverFacts(keys),
  };
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function spanFacts(spans: readonly JudgedSpan[]): SpanFacts {
  const verified = spans.filter((each) => each.verified);
  const tenants = Map.groupBy(verified, ({ tenant = "" }) => tenant);
  return {
    total: spans.length,
    verified: verified.length,
    signedApart: verified.filter(({ place }) => place === undefined).length,
    tenants: [...tenants.keys()].sort().map((tenant) => ({ tenant, spans: tenants.get(tenant)!.length })),
    period: signedPeriod(verified),
    failures: spans.flatMap((span, i) => (span.verified ? [] : [failureOf(span, i + 1)])),
  };
}

function failureOf(span: JudgedSpan, position: number): SpanFailure {
  const { traceId, spanId, place } = span;
  return {
    position,
    span: traceId === undefined ? undefined : `${traceId}/${spanId}`,
    place: place && { origin: place.claim.checkpoint.origin, entry: place.claim.index },
    reason: verdictOf(span) as SpanFailure["reason"],
    message: explanationOf(span),
  };
}

function signedPeriod(verified: readonly JudgedSpan[]): Period | undefined {
  return periodOf(verified.map(({ signedAt }) => signedAt!));
}

function logFacts(log: LogResult, spans: readonly JudgedSpan[]): LogFacts {
  const { origin, range, ended, follows } = log;
  const own = spans.filter(({ place }) => place?.claim.checkpoint.origin === origin);
  const verified = own.filter((each) => each.verified);
  const within = ({ start, end }: Range) =>
    verified.filter(({ place }) => place!.claim.index >= start && place!.claim.index < end);
  return {
    origin,
    from: range.start,
    to: range.end,
    spans: log.spans,
    handovers: log.handovers,
    announced: log.unused,
    endedAt: ended?.size,
    follows: follows && { origin: follows.origin, endedAt: follows.size },
    period: signedPeriod(within(range)),
    checkpoints: log.checkpoints.map(({ file, size, agrees, covered }) => ({
      name: file,
      size,
      agrees,
      covered: covered.map(({ start, end }) => ({ from: start, to: end })),
      covers: signedPeriod(covered.flatMap(within))?.last,
    })),
    findings: findingFacts(log, own),
  };
}

function findingFacts({ findings }: LogResult, own: readonly JudgedSpan[]): FindingFacts[] {
  const timeOf = new Map<number, string | undefined>();
  for (const { verified, reason, place, signedAt } of own) {
    const { index } = place!.claim;
    // The first counts where an entry is there twice.
    if ((verified || reason === "KEY_COMPROMISED") && !timeOf.has(index)) timeOf.set(index, signedAt);
  }
  const neighbour = (span: string | undefined, entry: number): Neighbour | undefined =>
    span === undefined ? undefined : { span, signedAt: timeOf.get(entry) };
  return findings.map(({ what, index, count, name, after, before, message }) => ({
    what,
    entry: index,
    count,
    span: name,
    after: neighbour(after, (index ?? 0) - 1),
    before: neighbour(before, (index ?? 0) + count),
    message,
  }));
}

function keyFacts(keys: KeySet, isAsked: boolean, spans: readonly JudgedSpan[]): KeyFacts[] {
  const verified = Map.groupBy(
    spans.filter((span) => span.verified),
    ({ keyId }) => keyId,
  );
  return Array.from(keys.byId, ([keyId, { publicKey, state, validFrom, validUntil, compromisedAt }]) => ({
    keyId,
    fingerprint: sha256(publicKey),
    state,
    validFrom: validFrom?.toISOString(),
    validUntil: validUntil?.toISOString(),
    compromisedAt: compromisedAt?.toISOString(),
    spans: verified.get(keyId)?.length ?? 0,
    vouchedBy: isAsked ? voucherOf(keyId, keys) : { by: "file" },
  }));
}

function voucherOf(keyId: string, { vouchers }: KeySet): KeyFacts["vouchedBy"] {
  const voucher = vouchers.get(keyId);
  if (voucher === undefined) return { by: "asker" };
  const { handover, from } = voucher;
  return { by: "handover", fromKeyId: from.keyId, origin: handover.checkpoint.origin, entry: handover.index };
}

function handoverFacts({ handovers, logKeys }: KeySet): HandoverFacts[] {
  return heldHandovers(handovers, logKeys).flatMap(({ handover: { to, index, checkpoint }, signers }) => {
    const isNew = ({ publicKey }: { publicKey: Uint8Array }) => Buffer.compare(publicKey, to.publicKey) === 0;
    const [from, next] = [signers.find((key) => !isNew(key)), signers.find(isNew)];
    if (from === undefined || next === undefined) return [];
    return [{ origin: checkpoint.origin, entry: index, fromKeyId: from.keyId, toKeyId: next.keyId }];
  });
}
