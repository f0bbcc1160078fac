/**
 * Judges a span's place in its tenant's log, by the tenant's keys. A checkpoint that compromised keys alone signed proves nothing by itself:
 * then it counts whether the entry was in the log already when they were marked. What the log was then is on record, and what is stored of it
 * must lead there.
 */
import type { Keyring } from "../../keys/keyring.ts";
import type { Published } from "../../keys/published.ts";
import type { LogReader } from "../../tenant-log/reader.ts";
import type { TreeHead } from "../../tlog/verify-proof.ts";
import type { Verdict } from "../../attestation/verdict.ts";
import { type LogClaim, type LogKey, logSigners, logVerdict } from "../../attestation/verify-log-proof.ts";
import type { LogName } from "../../store/log-store.ts";
import type { CallContext } from "../../call/context.ts";

export interface LogVerdictParts {
  keyring: Pick<Keyring, "publicKeys">;
  logs: LogReader;
}

export type JudgeLogClaim = (claim: LogClaim, tenantId: string, call: CallContext) => Promise<Verdict>;

export function logClaimJudge({ keyring, logs }: LogVerdictParts): JudgeLogClaim {
  return async (claim, tenantId, call) => {
    const published = await keyring.publicKeys.published(tenantId, call);
    const signers = logSigners(claim, logKeysOf(published));
    const judged = logVerdict(claim, signers);
    if (signers === undefined || judged.reason !== "KEY_COMPROMISED") return judged;
    const recorded = new Set<LogKey>();
    for (const key of signers) if (await wasThere(claim, key.keyId, published)) recorded.add(key);
    return logVerdict(claim, signers, (_claim, key) => recorded.has(key));
  };

  /** Whether the claim's leaf was in the log when the key was marked as compromised. */
  async function wasThere(
    { checkpoint, index, leaf }: LogClaim,
    keyId: string,
    published: Published,
  ): Promise<boolean> {
    const log = await logThen(checkpoint.origin, keyId, published);
    return log !== undefined && index < log.size && Buffer.compare(await logs.leaf(log, index), leaf) === 0;
  }

  async function logThen(
    origin: string,
    keyId: string,
    published: Published,
  ): Promise<(LogName & TreeHead) | undefined> {
    const recorded = published.compromises.find((each) => each.keyId === keyId);
    if (recorded === undefined || recorded.origin === origin) return recorded;
    // The log on record is the last one. Those before it are as they were: closed.
    const earlier = published.logs.find((log) => log.origin === origin && log.number < recorded.number);
    return earlier && (await logs.open(recorded.tenantId, earlier.number)).head;
  }
}

/** Each key by the name of each log: it may have signed for any. */
function logKeysOf({ keys, logs, compromises }: Published): LogKey[] {
  return keys.flatMap((key) => {
    const compromisedLog = compromises.find(({ keyId }) => keyId === key.keyId);
    return logs.map(({ origin }) => ({ ...key, name: origin, compromisedLog }));
  });
}
