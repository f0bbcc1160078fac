/** What a store notes of itself for its operators: when work on it was last done, and which replicas run. */
import { leaseFinishedAt } from "../sql/leases.ts";
import { date } from "../sql/rows/rows.ts";
import type { Query } from "../sql/rows/database.ts";
import type { RowMac } from "../sql/rows/mac.ts";
import { newestSchema } from "../sql/rows/schema.ts";
import { upgradeState } from "../sql/upgrade/end.ts";
import type { ReplicaStatus } from "../upgrade-store.ts";

export interface OperatorNotes {
  /** Undefined if none was noted. */
  backupAt: Date | undefined;
  /** The last check of the store, or of a restored copy, that found nothing. */
  checkAt: Date | undefined;
  /** When the oldest ACTIVE key of each tenant was activated, the oldest first, of at most 1,000 tenants. */
  oldestActive: readonly { tenantId: string; at: Date }[];
  /** Replicas that run. */
  replicas: readonly ReplicaStatus[];
  /** Whether the store is for this release and later ones alone. */
  isUpgraded: boolean;
}

/** `now` is by the store's clock. DATA_LOSS if a row is not as it was written. */
export async function readNotes(query: Query, mac: RowMac, now: number): Promise<OperatorNotes> {
  const { replicas, minReader } = await upgradeState(query, mac, now);
  const oldest = await query(
    "select tenant_id, min(activated_at) as at from kms_keys where state = 'ACTIVE' group by tenant_id order by 2 limit 1000",
  );
  return {
    backupAt: await leaseFinishedAt(query, mac, "backup"),
    checkAt: await leaseFinishedAt(query, mac, "check"),
    oldestActive: oldest.map(({ tenant_id, at }) => ({ tenantId: String(tenant_id), at: date(at)! })),
    replicas,
    isUpgraded: minReader >= newestSchema,
  };
}
