/**
 * Changes of a key's record: each is a compare-and-set of the whole record, with its audit row in the same transaction. A caller that loses
 * one gets CONFLICT and may ask again, because a key that is in the requested state is returned as it is.
 */
import { KmsError } from "../errors.ts";
import { step } from "../failpoints.ts";
import type { Time } from "../runtime/time.ts";
import type { Attribution, StateAction } from "../store/audit-store.ts";
import type { KeyRecord } from "../store/key-record.ts";
import type { StateChange } from "../store/key-store.ts";
import type { Store } from "../store/store.ts";
import type { Keyring } from "./keyring.ts";

export interface ChangeRequest {
  tenantId: string;
  keyId: string;
  by: Attribution;
}

export interface RecordChanges {
  /** NOT_FOUND for what is not a key of the tenant. */
  find(name: Pick<ChangeRequest, "tenantId" | "keyId">): Promise<KeyRecord>;
  /** Stores `next`. No change, and no audit row, if that is `present` itself. */
  replace(present: KeyRecord, next: KeyRecord, change: Omit<StateChange, "at">): Promise<KeyRecord>;
}

export interface RecordChangesOptions {
  store: Pick<Store, "get" | "update">;
  keyring: Pick<Keyring, "invalidate" | "noticed">;
  time: Time;
}

/** They leave a key as it is, and its cached secret in use: nobody may stop a tenant by them whose provider is away. */
const requests: readonly StateAction[] = ["request_destruction", "cancel_destruction_request"];

export function recordChanges({ store, keyring, time }: RecordChangesOptions): RecordChanges {
  return {
    async find({ tenantId, keyId }) {
      const record = await store.get(tenantId, keyId);
      if (record !== undefined && record.state !== "PENDING") return record;
      throw new KmsError("NOT_FOUND", `tenant ${tenantId} has no key ${keyId}`);
    },

    async replace(present, next, change) {
      if (next === present) return present;
      try {
        await store.update(present, next, { ...change, at: time.now() });
        step("state.changed");
        return next;
      } finally {
        // Whatever came of it: the record is not what was believed, or may be.
        const { tenantId, keyId, state } = present;
        if (requests.includes(change.action)) keyring.noticed(tenantId, keyId, state);
        else keyring.invalidate(tenantId, keyId);
      }
    },
  };
}
