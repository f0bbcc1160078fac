/** Whether the spans of an export are all that a tenant's logs have, in their order, and whether the logs are those that somebody kept checkpoints of. */

import type { OptionalTenant } from "../tenant.ts";
import type { Judged } from "./judge.ts";
import type { JudgeOptions } from "./judged-export.ts";
import type { KeySet } from "./key-set.ts";
import { auditLog, type LogFinding, largest } from "./log-audit.ts";
import type { KnownHead } from "./log-history.ts";
import { type Checkpoint, logSigners, parseKeptCheckpoints } from "./log-proof.ts";
import { handoversOf, type LogSpans, spansByLog } from "./log-spans.ts";
import { reasonOfKey } from "./verdict.ts";

/** `tenantId` is who must have signed; without it, whom each span names. */
export type LogOptions = OptionalTenant &
  Pick<JudgeOptions, "onProgress"> & {
    /** Checkpoints that somebody kept, one or several in a text, by what they are to be called in the report. */
    checkpoints?: readonly { name: string; text: string }[];
    /** Size of the log behind which to begin; by default before the first span, or at the smallest kept checkpoint. */
    from?: number | undefined;
    /** Size of the log with which to end; by default that of the largest checkpoint, kept or in a span's proof. */
    to?: number | undefined;
    /** Set for spans from a store that keeps no order. */
    anyOrder?: boolean | undefined;
  };

export interface LogReport {
  /** Whether there are spans of a log, and nothing is wrong with any log. */
  ok: boolean;
  logs: LogResult[];
  /** Spans that a signature of their own verifies: whether others of these are missing does not show. */
  signedApart: number;
}

/** What there is to say of one log. */
export interface LogResult {
  origin: string;
  /** The size at which it ended, because a backup was restored or a loss was accepted; undefined if it goes on. */
  endedAt: number | undefined;
  /** The log that ended before this one began. */
  follows: { origin: string; endedAt: number } | undefined;
  /** The entries that were checked: from this index to before `to`. */
  from: number;
  to: number;
  /** Size of the largest checkpoint of it, kept or in a span's proof; 0 without one. */
  known: number;
  /** Entries among those that are spans, handovers of keys, and handovers that were announced and not used. */
  spans: number;
  handovers: number;
  announced: number;
  /** Kept checkpoints of it; `agrees` is undefined where the spans do not go there. */
  checkpoints: {
    name: string;
    size: number;
    agrees: boolean | undefined;
    /** The checked entries that an agreeing one is of: from `start` to before `end`. Of those beside a gap not all may be shown to be. */
    covered: readonly { start: number; end: number }[];
  }[];
  findings: LogFinding[];
}

/** What was asked of a log cannot be checked. */
export class LogError extends Error {
  override readonly name = "LogError";
}

interface KeptHead extends Checkpoint, KnownHead {
  name: string;
}

export async function reportOf(spans: readonly Judged[], keys: KeySet, options: LogOptions): Promise<LogReport> {
  for (const size of [options.from, options.to])
    if (size !== undefined && !(Number.isSafeInteger(size) && size >= 0))
      throw new LogError("from and to are numbers of entries");
  const kept = await keptHeads(keys, options.checkpoints ?? []);
  const origins = originsOf(keys);
  if (origins.length === 0) throw new LogError("the keys file names no log; save again what the service serves");
  const { logs, apart } = spansByLog(spans, origins);
  for (const { origin } of kept)
    if (!logs.has(origin)) logs.set(origin, { held: [], changed: new Set(), findings: [] });
  if (logs.size > 1 && (options.from ?? options.to) !== undefined)
    throw new LogError(`the spans are of several logs (${[...logs.keys()].join(", ")}); from and to are for one`);
  const results: LogResult[] = [];
  for (const [origin, log] of logs) {
    const own = kept.filter((head) => head.origin === origin);
    results.push(await resultOf(origin, log, own, keys, options));
  }
  const ok = results.length > 0 && results.every(({ spans: held, findings }) => held > 0 && findings.length === 0);
  return { ok, logs: results, signedApart: apart };
}

async function keptHeads(keys: KeySet, texts: NonNullable<LogOptions["checkpoints"]>): Promise<KeptHead[]> {
  const heads: KeptHead[] = [];
  for (const { name, text } of texts) {
    const kept = parseKeptCheckpoints(text);
    if (kept === undefined)
      throw new LogError(
        `${name} holds no checkpoint: it must be one signed note, or several, as GetCheckpoint gives them`,
      );
    for (const signed of kept) {
      const signers = (await logSigners(signed, keys.logKeys, keys.crypto)) ?? [];
      if (signers.length === 0) {
        const { size, origin } = signed.checkpoint;
        throw new LogError(`${name}: no key of the keys file signed the checkpoint of ${size}, which is of ${origin}`);
      }
      const isTrusted = signers.some((key) => reasonOfKey(key) === "OK");
      heads.push({ ...signed.checkpoint, name, isKept: true, isTrusted });
    }
  }
  return heads;
}

async function resultOf(
  origin: string,
  { held, changed, findings: ofSpans }: LogSpans,
  kept: readonly KeptHead[],
  keys: KeySet,
  { from, to, anyOrder = false }: LogOptions,
): Promise<LogResult> {
  const recorded = keys.logKeys
    .filter(({ name, compromisedLog }) => name === origin && compromisedLog?.origin === origin)
    .map(({ compromisedLog }) => ({ ...compromisedLog!, isKept: false, isTrusted: true }));
  const handovers = await handoversOf(origin, keys);
  const unused = keys.unusedHandovers.filter((each) => each.origin === origin);
  const heads = [...kept, ...recorded];
  const log = { spans: held, handovers, unused, changed, heads, from, to, isOrdered: !anyOrder };
  const { range, findings, history } = await auditLog(log, keys.crypto);
  const isWithin = ({ index }: { index: number }) => index >= range.start && index < range.end;
  const before = originsOf(keys)[originsOf(keys).indexOf(origin) - 1];
  const followed = keys.endedLogs.find((head) => head.origin === before);
  return {
    origin,
    endedAt: keys.endedLogs.find((head) => head.origin === origin)?.size,
    follows: followed && { origin: followed.origin, endedAt: followed.size },
    from: range.start,
    to: range.end,
    known: largest([...held.map(({ head }) => head.size), ...kept.map(({ size }) => size)]),
    spans: held.filter(isWithin).length,
    handovers: handovers.filter(isWithin).length,
    announced: history.fitting.length,
    checkpoints: kept.map((head) => ({
      name: head.name,
      size: head.size,
      agrees: history.agreed.has(head) || (history.differed.has(head) ? false : undefined),
      covered: history.agreed.get(head) ?? [],
    })),
    findings: [...ofSpans, ...findings.map((finding) => ({ ...finding, at: finding.leafIndex }))]
      .sort((a, b) => a.at - b.at)
      .map(({ at, ...finding }) => finding),
  };
}

/** Oldest first: all but the last have ended. */
function originsOf({ logKeys }: KeySet): string[] {
  return [...new Set(logKeys.map(({ name }) => name))];
}
