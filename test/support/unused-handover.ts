/** A handover that was not used, as releases of 0.1 left it: its entry in the log, and a row without a proof. */
import { hash, type KeyObject, randomBytes } from "node:crypto";
import { buildHandover } from "../../src/attestation/log-entry.ts";
import { formatSignedAt } from "../../src/attestation/statement.ts";
import { signingKey } from "../../src/crypto/ed25519.ts";
import { rowMac } from "../../src/store/sql/rows/mac.ts";
import { valuesOf } from "../../src/store/sql/rows/rows.ts";
import { tables } from "../../src/store/sql/rows/schema.ts";
import type { Store } from "../../src/store/store.ts";
import { appendOf } from "../../src/tenant-log/group.ts";
import { packRuns, singleEntry } from "../../src/tlog/entry-run.ts";
import { growTree, leafHash } from "../../src/tlog/merkle.ts";
import { verifierKey } from "../../src/tlog/verifier-key.ts";
import type { Backdoor } from "./store-fixture.ts";

/** Leaves one in the tenant's open log, to a key that there never is, and returns its entry. `key` is the store key. */
export async function leaveUnusedHandover(
  { store, sql, key }: { store: Store; sql: Backdoor["sql"]; key: KeyObject },
  tenantId: string,
): Promise<Uint8Array> {
  const head = (await store.logHead(tenantId))!;
  const [fromKeyId, toKeyId] = [(await store.active(tenantId, "signing"))!.keyId, randomBytes(16).toString("hex")];
  const { publicKey } = signingKey(randomBytes(32));
  const toKeyDigest = hash("sha256", publicKey);
  const signedAt = formatSignedAt(head.changedAt.getTime());
  const toVkey = verifierKey(head.origin, publicKey);
  const entry = Buffer.from(buildHandover({ tenant: tenantId, fromKeyId, toKeyId, toVkey, toKeyDigest, signedAt }));
  const batch = { spans: 0, refused: [], signedAtMs: 0, requestId: "", digest: "" };
  const member = { batch: { ...batch, leaves: leafHash(entry), entries: packRuns([singleEntry(entry)]) } };
  const append = appendOf(head, [member], growTree(head, member.batch.leaves), head.changedAt);
  await store.appendLog(append);
  const row = { tenant_id: tenantId, number: head.number, entry_index: head.size, from_key_id: fromKeyId };
  const values = valuesOf("kms_log_handovers", { ...row, to_key_id: toKeyId, entry, proof: "" });
  const columns = tables.kms_log_handovers;
  const places = columns.map((_, index) => `?${index + 1}`);
  const text = `insert into kms_log_handovers (${columns.join(", ")}) values (${places.join(", ")})`;
  await sql(text, ...values, rowMac(key).of("kms_log_handovers", values));
  return entry;
}
