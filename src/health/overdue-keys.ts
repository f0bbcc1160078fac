/** ACTIVE keys that the schedule should have replaced a week ago. */
import type { Store } from "../store/store.ts";
import type { Time } from "../runtime/time.ts";

export interface OverdueKeys {
  /** Keys under the service's own provider key; with them those behind the first 1,000, if one of these is. */
  service: number;
  /** Keys of tenants that have a provider key of their own, and may keep the service from rotating them. */
  tenant: number;
}

export interface OverdueWatch {
  /** Looks at the store. Does not throw: a look that fails leaves what was seen before. */
  look(): Promise<void>;
  /** Numbers of keys that the last look saw. */
  seen(): OverdueKeys;
}

export interface OverdueParts {
  store: Pick<Store, "due">;
  /** `kms.rotation.enabled` and `kms.rotation.max-age-days`. No key is overdue where the schedule rotates none. */
  rotation: { readonly enabled: boolean; readonly maxAgeDays: number };
  /** Whether a tenant has a provider key of its own. */
  hasOwnKey(tenantId: string): boolean;
  time: Time;
}

const dayMs = 86_400_000;
const graceDays = 7;
/** Number of keys that are told apart by their tenants, the oldest first. */
const named = 1_000;

export function watchOverdueKeys({ store, rotation, hasOwnKey, time }: OverdueParts): OverdueWatch {
  let seen: OverdueKeys = { service: 0, tenant: 0 };

  async function read(): Promise<OverdueKeys> {
    const before = new Date(time.now().getTime() - (rotation.maxAgeDays + graceDays) * dayMs);
    const { keys, total } = await store.due(before, named);
    const tenant = keys.filter(({ tenantId }) => hasOwnKey(tenantId)).length;
    // If all that were told apart are tenants' own, the rest is taken for theirs: it must not page the operator.
    return tenant === keys.length ? { service: 0, tenant: total } : { service: total - tenant, tenant };
  }

  return {
    seen: () => seen,
    async look() {
      if (rotation.enabled) seen = await read().catch(() => seen);
    },
  };
}
