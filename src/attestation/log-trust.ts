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

/** Those of `keys` that are among the first ones, or that a chain of handovers leads to from there: by every log's name that they have. */
export function trustedKeys(
  first: readonly VerifierKey[],
  handovers: readonly HandoverClaim[],
  keys: readonly LogKey[],
): LogKey[] {
  let trusted = keys.filter(({ publicKey }) => first.some((key) => isSame(key.publicKey, publicKey)));
  for (;;) {
    const reached = handovers.filter((handover) => isHandedOver(handover, keys, trusted)).map(({ to }) => to.publicKey);
    const more = keys.filter(
      (key) => trusted.includes(key) || reached.some((publicKey) => isSame(publicKey, key.publicKey)),
    );
    if (more.length === trusted.length) return trusted;
    trusted = more;
  }
}

function isHandedOver(handover: HandoverClaim, keys: readonly LogKey[], trusted: readonly LogKey[]): boolean {
  const signers = logSigners(handover, keys) ?? [];
  return (
    handover.to.name === handover.checkpoint.origin &&
    isIncluded(handover, handover.checkpoint) &&
    signers.some((key) => trusted.includes(key) && reasonOfKey(key) === "OK") &&
    signers.some(({ publicKey }) => isSame(publicKey, handover.to.publicKey))
  );
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
