/**
 * A signing key's handover to the next one, in the log of its tenant: an entry names the new key, and both keys sign the tree that holds it.
 * Whoever knows the old key alone can follow. The old key stays ACTIVE until its successor is activated with this.
 */
import { hash } from "node:crypto";
import { hasCode, KmsError } from "../errors.ts";
import type { Keyring } from "../keys/keyring.ts";
import type { Handover } from "../keys/rotation/rotation.ts";
import type { UsableSigningKey } from "../keys/usable-key.ts";
import type { LogBatch } from "../batch/enter.ts";
import { checkpointText } from "../tlog/checkpoint.ts";
import { packRuns, singleEntry } from "../tlog/entry-run.ts";
import { buildHandover } from "../attestation/log-entry.ts";
import { inclusionPath } from "../tlog/proof-writer.ts";
import { leafHash } from "../tlog/merkle.ts";
import { signNote } from "../tlog/signed-note.ts";
import { formatSignedAt } from "../attestation/statement.ts";
import { tlogProofText } from "../tlog/inclusion-proof.ts";
import { verifierKey } from "../tlog/verifier-key.ts";
import { step } from "../failpoints.ts";
import type { LogHead, LogStore } from "../store/log-store.ts";
import type { Sequencer } from "./sequencer.ts";
import type { Time } from "../runtime/time.ts";

export interface HandoverOptions {
  store: Pick<LogStore, "logHead">;
  sequencer: Pick<Sequencer, "announce">;
  keys: Pick<Keyring, "activeSigningKey">;
  time: Time;
}

/** Nothing for a tenant without a log, or whose log ended with a backup. CONFLICT where the old key is not ACTIVE any more. */
export function createHandovers(options: HandoverOptions): Handover {
  const { store, sequencer, keys, time } = options;
  return async (tenantId, fromKeyId, successor) => {
    const log = await store.logHead(tenantId);
    if (log?.state !== "open") return undefined;
    const signedAtMs = time.now().getTime();
    const entry = entryFor(log, fromKeyId, successor, signedAtMs);
    const announces = { fromKeyId, toKeyId: successor.keyId };
    const { head, growth, index } = await whileActive(fromKeyId, () =>
      sequencer.announce(tenantId, batchOf(entry, signedAtMs), announces),
    );
    step("log.announced");
    const { keyId, key } = await whileActive(fromKeyId, () => keys.activeSigningKey(tenantId));
    if (keyId !== fromKeyId) throw notActive(fromKeyId);
    const signers = [key, successor.key].map((each) => ({ name: head.origin, key: each }));
    const checkpoint = signNote(checkpointText(head), ...signers);
    const proof = tlogProofText({ index, path: inclusionPath(growth, index), checkpoint });
    return { tenantId, number: head.number, ...announces, index, entry, proof };
  };
}

/** Where no key is ACTIVE, the one that hands the log over is not: it was disabled since the rotation began. */
async function whileActive<T>(fromKeyId: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (hasCode(error, "KEY_UNUSABLE")) throw notActive(fromKeyId);
    throw error;
  }
}

function notActive(keyId: string): KmsError {
  return new KmsError("CONFLICT", `key ${keyId} is not active any more`);
}

function entryFor({ tenantId, origin }: LogHead, fromKeyId: string, successor: UsableSigningKey, signedAtMs: number) {
  const { keyId: toKeyId, key } = successor;
  const toKeyDigest = hash("sha256", key.publicKey, "hex");
  const toVkey = verifierKey(origin, key.publicKey);
  const signedAt = formatSignedAt(signedAtMs);
  return Buffer.from(buildHandover({ tenant: tenantId, fromKeyId, toKeyId, toVkey, toKeyDigest, signedAt }));
}

/** An entry that no span is behind. */
function batchOf(entry: Uint8Array, signedAtMs: number): LogBatch {
  const [leaves, entries] = [leafHash(entry), packRuns([singleEntry(entry)])];
  return { spans: 0, leaves, entries, refused: [], signedAtMs, requestId: "", digest: "" };
}
