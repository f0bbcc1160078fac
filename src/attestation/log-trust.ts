/**
 * Which keys of a log to trust, for whoever trusts a few to begin with: a handover, in a checkpoint that old and new key both signed, hands
 * the trust on. Not that of a key that was marked as compromised, which could hand over to anybody.
 */
import { type HandoverParts, parseHandover } from "./log-entry.ts";
import { leafHash } from "../tlog/merkle.ts";
import { isIncluded } from "../tlog/verify-proof.ts";
import { reasonOfKey } from "./verdict.ts";
import { type LogEvidence, type LogKey, logSigners, parseLogEvidence } from "./verify-log-proof.ts";
import { parseVerifierKey, type VerifierKey } from "../tlog/verifier-key.ts";

/** What a handover's entry and proof say; nothing of it was verified yet. */
export interface HandoverClaim extends LogEvidence {
  parts: HandoverParts;
  leaf: Uint8Array;
  /** The key that is handed over to. */
  to: VerifierKey;
}

/** Undefined where entry or proof is not in its form. */
export function handoverClaim({ entry, proof }: { entry: Uint8Array; proof: string }): HandoverClaim | undefined {
  const parts = parseHandover(entry);
  const to = parts && parseVerifierKey(parts.toVkey);
  const evidence = parseLogEvidence(proof);
  return to === undefined || evidence === undefined
    ? undefined
    : { ...evidence, parts: parts!, leaf: leafHash(entry), to };
}

/** How a key came to be trusted that was not among the first ones. */
export interface Voucher {
  handover: HandoverClaim;
  /** The trusted key that handed over. */
  from: LogKey;
}

export interface TrustedKeys {
  keys: LogKey[];
  /** How each of them that was not among the first ones came to be trusted, by key id. */
  vouchers: ReadonlyMap<string, Voucher>;
}

/** Those of `keys` that are among the first ones, or that a chain of handovers leads to from there: by every log's name that they have. */
export function trustedKeys(
  first: readonly VerifierKey[],
  handovers: readonly HandoverClaim[],
  keys: readonly LogKey[],
): TrustedKeys {
  let trusted = keys.filter(({ publicKey }) => first.some((key) => isSame(key.publicKey, publicKey)));
  const vouchers = new Map<string, Voucher>();
  for (;;) {
    const reached = handovers.flatMap((handover) => {
      const from = handedOverBy(handover, keys, trusted);
      return from === undefined ? [] : [{ handover, from }];
    });
    const more = keys.filter((key) => {
      if (trusted.includes(key)) return true;
      const voucher = reached.find(({ handover }) => isSame(handover.to.publicKey, key.publicKey));
      if (voucher !== undefined && !vouchers.has(key.keyId)) vouchers.set(key.keyId, voucher);
      return voucher !== undefined;
    });
    if (more.length === trusted.length) return { keys: trusted, vouchers };
    trusted = more;
  }
}

/** The trusted key that handed over; undefined where none did. */
function handedOverBy(
  handover: HandoverClaim,
  keys: readonly LogKey[],
  trusted: readonly LogKey[],
): LogKey | undefined {
  const signers = logSigners(handover, keys) ?? [];
  const holds =
    handover.to.name === handover.checkpoint.origin &&
    isIncluded(handover, handover.checkpoint) &&
    signers.some(({ publicKey }) => isSame(publicKey, handover.to.publicKey));
  return holds ? signers.find((key) => trusted.includes(key) && reasonOfKey(key) === "OK") : undefined;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
