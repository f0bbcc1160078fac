/** The facts of a verification by the client's verifier, which are those of the service's own. */
import type {
  CheckpointFacts,
  Exhibit,
  Facts,
  FailureReason,
  FindingFacts,
  HandoverFacts,
  KeyFacts,
  LogFacts,
  Neighbour,
  Period,
  SpanFacts,
} from "../../src/verification-report/facts.ts";
import { periodOf } from "../../src/verification-report/period.ts";
import { hexText, isSame } from "../typescript/src/verify/bytes.ts";
import type { JudgedSpan } from "../typescript/src/verify/judged-export.ts";
import { heldHandovers } from "../typescript/src/verify/log-spans.ts";
import { explanations, type KeySet, type LogResult, type Verdict } from "../typescript/src/verify.ts";
import type { NamedFile, Question } from "./verification.ts";

/** `keys` are those that are trusted; `logs` are empty unless completeness was asked. */
export async function factsOf(
  { spans, keys: keysFile, checkpoints, asked }: Question,
  keys: KeySet,
  judged: readonly JudgedSpan[],
  logs: readonly LogResult[],
): Promise<Facts> {
  const verdicts = judged.map(({ verdict }) => verdict);
  const files = [
    { role: "spans" as const, file: spans },
    { role: "keys" as const, file: keysFile },
    ...checkpoints.map((file) => ({ role: "checkpoints" as const, file })),
  ];
  return {
    exhibits: await Promise.all(files.map(({ role, file }) => exhibitOf(role, file, keys))),
    asked,
    spans: spanFacts(verdicts),
    logs: logs.map((log) => logFacts(log, verdicts)),
    keys: await keyFacts(keys, asked.vkeys.length > 0, verdicts),
    keysPassedOver: keys.passedOver,
    handovers: await handoverFacts(keys),
  };
}

/** `<trace id>/<span id>`; undefined for a span that cannot be read. */
export function nameOf({ traceId, spanId }: Verdict): string | undefined {
  return traceId === undefined ? undefined : `${traceId}/${spanId}`;
}

/** Why a verdict is not verified. */
export function reasonOf({ unsigned, reason }: Verdict): FailureReason {
  return unsigned ? "UNSIGNED" : (reason as FailureReason);
}

async function exhibitOf(role: Exhibit["role"], { name, bytes }: NamedFile, { crypto }: KeySet): Promise<Exhibit> {
  return { role, name, bytes: bytes.length, sha256: hexText(await crypto.sha256(bytes)) };
}

function spanFacts(verdicts: readonly Verdict[]): SpanFacts {
  const verified = verdicts.filter((each) => each.verified);
  const tenants = Map.groupBy(verified, ({ tenant = "" }) => tenant);
  return {
    total: verdicts.length,
    verified: verified.length,
    signedApart: verified.filter(({ log }) => log === undefined).length,
    tenants: [...tenants.keys()].sort().map((tenant) => ({ tenant, spans: tenants.get(tenant)!.length })),
    period: signedPeriod(verified),
    failures: verdicts.flatMap((verdict, i) =>
      verdict.verified
        ? []
        : [
            {
              position: i + 1,
              span: nameOf(verdict),
              place: verdict.log === undefined ? undefined : { origin: verdict.log, entry: verdict.leafIndex! },
              reason: reasonOf(verdict),
              message: verdict.message ?? explanations[verdict.reason],
            },
          ],
    ),
  };
}

function signedPeriod(verified: readonly Verdict[]): Period | undefined {
  return periodOf(verified.map(({ signedAt }) => signedAt!));
}

function logFacts(log: LogResult, verdicts: readonly Verdict[]): LogFacts {
  const { origin, from, to, spans, handovers, announced, endedAt, follows } = log;
  const own = verdicts.filter((each) => each.log === origin);
  const verified = own.filter((each) => each.verified);
  const within = (start: number, end: number) =>
    verified.filter(({ leafIndex }) => leafIndex! >= start && leafIndex! < end);
  return {
    origin,
    from,
    to,
    spans,
    handovers,
    announced,
    endedAt,
    follows,
    period: signedPeriod(within(from, to)),
    checkpoints: log.checkpoints.map(
      ({ name, size, agrees, covered }): CheckpointFacts => ({
        name,
        size,
        agrees,
        covered: covered.map(({ start, end }) => ({ from: start, to: end })),
        covers: signedPeriod(covered.flatMap(({ start, end }) => within(start, end)))?.last,
      }),
    ),
    findings: findingFacts(log, own),
  };
}

function findingFacts({ findings }: LogResult, own: readonly Verdict[]): FindingFacts[] {
  const held = own.filter(({ verified, reason }) => verified || reason === "KEY_COMPROMISED");
  // The first counts where an entry is there twice.
  const timeOf = new Map(held.map(({ leafIndex, signedAt }) => [leafIndex, signedAt] as const).reverse());
  const neighbour = (span: string | undefined, entry: number): Neighbour | undefined =>
    span === undefined ? undefined : { span, signedAt: timeOf.get(entry) };
  return findings.map(({ what, leafIndex: entry, count, span, after, before, message }) => ({
    what,
    entry,
    count,
    span,
    after: neighbour(after, entry! - 1),
    before: neighbour(before, entry! + count),
    message,
  }));
}

async function keyFacts(keys: KeySet, isAsked: boolean, verdicts: readonly Verdict[]): Promise<KeyFacts[]> {
  const spansOf = Map.groupBy(
    verdicts.filter(({ verified }) => verified),
    ({ keyId }) => keyId,
  );
  const all = [...keys.keys.values()].map(async (key): Promise<KeyFacts> => {
    const { keyId, publicKey, state, validFrom, validUntil, compromisedAt } = key;
    return {
      keyId,
      fingerprint: hexText(await keys.crypto.sha256(Uint8Array.from(publicKey))),
      state,
      validFrom: dateOf(validFrom),
      validUntil: dateOf(validUntil),
      compromisedAt: dateOf(compromisedAt),
      spans: spansOf.get(keyId)?.length ?? 0,
      vouchedBy: isAsked ? voucherOf(keyId, keys) : { by: "file" },
    };
  });
  return Promise.all(all);
}

function voucherOf(keyId: string, { reached }: KeySet): KeyFacts["vouchedBy"] {
  const how = reached.get(keyId);
  if (how === undefined) return { by: "asker" };
  const { by, from } = how;
  return { by: "handover", fromKeyId: from.keyId, origin: by.checkpoint.origin, entry: by.index };
}

function dateOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}

async function handoverFacts(keys: KeySet): Promise<HandoverFacts[]> {
  return (await heldHandovers(keys)).flatMap(({ handover: { to, index, checkpoint }, signers }) => {
    const isNew = ({ publicKey }: { publicKey: Uint8Array }) => isSame(publicKey, to.publicKey);
    const [from, next] = [signers.find((key) => !isNew(key)), signers.find(isNew)];
    if (from === undefined || next === undefined) return [];
    return [{ origin: checkpoint.origin, entry: index, fromKeyId: from.keyId, toKeyId: next.keyId }];
  });
}
