/**
 * A signing key's handover to the next one, in the log of its tenant: an entry names the new key, and both keys sign the tree that holds it.
 * Whoever knows the old key alone can follow. The entry is appended in the transaction that activates the new key, so that a log names only
 * keys that came into use. Both keys thus sign a head that is not stored yet; a proof whose transaction fails is dropped.
 */
import { hash } from "node:crypto";
import { hasCode, KmsError } from "../errors.ts";
import type { Keyring } from "../keys/keyring.ts";
import type { Handover } from "../keys/rotation/rotation.ts";
import type { UsableSigningKey } from "../keys/usable-key.ts";
import type { BatchPool } from "../batch/pool/pool.ts";
import type { LogBatch } from "../batch/enter.ts";
import { signCheckpoint } from "../tlog/checkpoint.ts";
import { packRuns, singleEntry } from "../tlog/entry-run.ts";
import { buildHandover } from "../attestation/log-entry.ts";
import { inclusionPath } from "../tlog/proof-writer.ts";
import { leafHash } from "../tlog/merkle.ts";
import { formatSignedAt } from "../attestation/statement.ts";
import { tlogProofText } from "../tlog/inclusion-proof.ts";
import { verifierKey } from "../tlog/verifier-key.ts";
import type { KeyStore } from "../store/key-store.ts";
import type { HandoverAppend, LogHead } from "../store/log-store.ts";
import type { Heads } from "./heads.ts";
import { appendOf } from "./group.ts";
import type { Sequencer } from "./sequencer.ts";
import type { Time } from "../runtime/time.ts";

export interface HandoverOptions {
  store: Pick<KeyStore, "active">;
  heads: Pick<Heads, "last" | "stored" | "doubt">;
  sequencer: Pick<Sequencer, "inTurn">;
  keys: Pick<Keyring, "activeSigningKey" | "invalidate">;
  pool: Pick<BatchPool, "grow">;
  time: Time;
}

export function createHandovers({ store, heads, sequencer, keys, pool, time }: HandoverOptions): Handover {
  async function handoverIn(head: LogHead, fromKeyId: string, successor: UsableSigningKey): Promise<HandoverAppend> {
    const { tenantId, number, size: index } = head;
    const at = time.now();
    const entry = entryFor(head, fromKeyId, successor, at.getTime());
    const batch = batchOf(entry, at.getTime());
    const growth = await pool.grow(head, [batch.leaves]);
    const append = appendOf(head, [{ batch }], growth, at);
    const key = await activeKey(tenantId, fromKeyId);
    const checkpoint = signCheckpoint({ ...head, ...append.next }, key, successor.key);
    const proof = tlogProofText({ index, path: inclusionPath(growth, index), checkpoint });
    return { append, handover: { tenantId, number, fromKeyId, toKeyId: successor.keyId, index, entry, proof } };
  }

  /** CONFLICT unless it is the ACTIVE key. */
  async function activeKey(tenantId: string, keyId: string): Promise<UsableSigningKey["key"]> {
    try {
      let active = await keys.activeSigningKey(tenantId);
      if (active.keyId !== keyId) {
        keys.invalidate(tenantId, active.keyId); // it may be the one before, of which no news has come yet
        active = await keys.activeSigningKey(tenantId);
      }
      if (active.keyId === keyId) return active.key;
    } catch (error) {
      if (!hasCode(error, "KEY_UNUSABLE")) throw error; // no key is ACTIVE
    }
    throw new KmsError("CONFLICT", `key ${keyId} is not active any more`);
  }

  /** Tells, after a CONFLICT, whether it was about the log alone: the head is another than `expected`, and the key still ACTIVE. */
  async function hasMoved(tenantId: string, expected: LogHead | undefined, fromKeyId: string): Promise<boolean> {
    heads.doubt(tenantId);
    const [head, active] = await Promise.all([heads.last(tenantId), store.active(tenantId, "signing")]);
    return active?.keyId === fromKeyId && !isSame(head, expected);
  }

  return (tenantId, fromKeyId, successor, activate) =>
    sequencer.inTurn(tenantId, async () => {
      const head = await heads.last(tenantId);
      const handover = head?.state === "open" ? await handoverIn(head, fromKeyId, successor) : "no-log";
      try {
        const record = await activate(handover);
        if (handover !== "no-log") heads.stored({ ...handover.append.expect, ...handover.append.next });
        return record;
      } catch (error) {
        if (hasCode(error, "CONFLICT") && (await hasMoved(tenantId, head, fromKeyId))) return undefined;
        throw error;
      }
    });
}

function isSame(head: LogHead | undefined, other: LogHead | undefined): boolean {
  if (head === undefined || other === undefined) return head === other;
  const isNamedSame = head.number === other.number && head.state === other.state;
  return isNamedSame && head.size === other.size && Buffer.compare(head.root, other.root) === 0;
}

function entryFor({ tenantId, origin }: LogHead, fromKeyId: string, successor: UsableSigningKey, signedAtMs: number) {
  const { keyId: toKeyId, key } = successor;
  const toKeyDigest = hash("sha256", key.publicKey, "hex");
  const toVkey = verifierKey(origin, key.publicKey);
  const signedAt = formatSignedAt(signedAtMs);
  return Buffer.from(buildHandover({ tenant: tenantId, fromKeyId, toKeyId, toVkey, toKeyDigest, signedAt }));
}

/** Returns a batch of an entry that belongs to no span. */
function batchOf(entry: Uint8Array, signedAtMs: number): LogBatch {
  const [leaves, entries] = [leafHash(entry), packRuns([singleEntry(entry)])];
  return { spans: 0, leaves, entries, refused: [], signedAtMs, requestId: "", digest: "" };
}
