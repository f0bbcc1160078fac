/** Destructions that wait for a second caller, for an operator: whose they are, and since when. Somebody may have stolen a credential. */
import { type Notice, notice } from "../notices.ts";
import type { Time } from "../runtime/time.ts";
import { waitingSince } from "../keys/destruction/two-person.ts";
import type { KeyRecord } from "../store/key-record.ts";
import type { Store } from "../store/store.ts";

export interface DestructionWatch {
  /** Looks at the store. */
  remarks(): Promise<Notice[]>;
  /** How many waited at the last look. */
  waiting(): number;
}

const named = 5;

export function watchDestructions(store: Pick<Store, "destructionRequests">, time: Time): DestructionWatch {
  let waiting = 0;
  return {
    waiting: () => waiting,
    async remarks() {
      const { records, total } = await store.destructionRequests({ ...waitingSince(time.now()), limit: named });
      waiting = total;
      if (total === 0) return [];
      const more = total > records.length ? [`${(total - records.length).toLocaleString("en")} more`] : [];
      const whose = [...records.map(requestOf), ...more].join("; ");
      const keys = total === 1 ? "1 key" : `${total.toLocaleString("en")} keys`;
      const text = `The destruction of ${keys} waits for a second caller: ${whose}.`;
      return [notice("DESTRUCTION_REQUESTED", text)];
    },
  };
}

function requestOf({ tenantId, purpose, keyId, destruction }: KeyRecord): string {
  const { by, request } = destruction!;
  return `${purpose} key ${keyId} of tenant ${tenantId}, requested by ${by} at ${request!.at.toISOString()}`;
}
