/** The rows by which replicas say that they run, and of which release they are. */
import { KmsError } from "../../../errors.ts";
import { date, insertRow, updateRow, valuesOf } from "../rows/rows.ts";
import type { Query, Transaction } from "../rows/database.ts";
import type { RowMac } from "../rows/mac.ts";
import type { Replica, ReplicaStatus } from "../../upgrade-store.ts";
import { stateIn } from "./migration.ts";

/** How long a row says that its replica runs. */
const seenForMs = 90_000;
/** Rows of replicas that ended without taking them away go after that. */
const keptMs = 86_400_000;

/** Notes that the replica runs, unless the store is not for its release any more. Gives the version that it is for. */
export async function noteReplica(
  tx: Transaction,
  mac: RowMac,
  { replicaId, release, version }: Replica,
): Promise<number> {
  await tx.lock("schema", "shared");
  const { minReader } = (await stateIn(tx.query))!;
  if (minReader > version) return minReader;
  const now = await tx.now();
  await tx.query(
    "delete from kms_replicas where replica_id = ?1 or seen_at < ?2 or seen_at > ?3",
    replicaId,
    now - keptMs,
    now + keptMs,
  );
  await insertRow(tx.query, mac, "kms_replicas", { replica_id: replicaId, release, version, seen_at: now });
  return minReader;
}

/**
 * The row stays for a day: an upgrade that is being finished must know who ran meanwhile. Once it is finished an earlier
 * release writes nothing: its form of a row may be read by nobody.
 */
export async function endReplica(tx: Transaction, mac: RowMac, replicaId: string): Promise<void> {
  await tx.lock("schema", "shared");
  const { minReader } = (await stateIn(tx.query))!;
  const [row] = await tx.query("select * from kms_replicas where replica_id = ?1", replicaId);
  if (row === undefined || Number(row.version) < minReader) return;
  const now = await tx.now();
  await updateRow(tx.query, mac, "kms_replicas", { ...row, seen_at: now, ended_at: now });
}

/** Every replica that is noted, the one that was seen first at first. DATA_LOSS where a row is not as it was written. */
export async function notedReplicas(query: Query, mac: RowMac): Promise<ReplicaStatus[]> {
  const rows = await query("select * from kms_replicas order by seen_at, replica_id");
  return rows.map((row) => {
    if (!mac.matches(row.mac, "kms_replicas", valuesOf("kms_replicas", row))) throw alteredNote(row.replica_id);
    return {
      replicaId: String(row.replica_id),
      release: String(row.release),
      version: Number(row.version),
      seenAt: new Date(Number(row.seen_at)),
      endedAt: date(row.ended_at),
    };
  });
}

/** Whether the replica runs at `now`, by the store's clock. A note that is ahead of it was written before the clock was put back. */
export function runsAt({ seenAt, endedAt }: ReplicaStatus, now: number): boolean {
  return endedAt === undefined && Math.abs(now - seenAt.getTime()) < seenForMs;
}

/** No backup need be restored for it: nothing but an upgrade reads these notes, and each is written anew or goes. */
function alteredNote(replicaId: unknown): KmsError {
  return new KmsError("DATA_LOSS", `the note of the replica ${replicaId} in the store is not as it was written`, {
    advice: "find out who changed it; it goes by itself within a day or two, and an upgrade cannot be finished before",
  });
}
