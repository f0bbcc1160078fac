/**
 * What is published of a tenant: its public keys, and the logs that they sign for. The keys are cached until they change; but a log is born
 * without any change of a key, and a key that another replica made may be news here. So the store is asked for both first, each time: for the
 * logs, and for the number of the last key.
 */
import { LRUCache } from "lru-cache";
import { hasCode } from "../errors.ts";
import { abandonOn } from "../runtime/deadline.ts";
import type { LogHead } from "../store/log-store.ts";
import type { Store } from "../store/store.ts";
import type { Waiter } from "./waiter.ts";
import type { PublicKeySet, PublicKeys } from "./public-keys.ts";

export interface Published extends PublicKeySet {
  /** Oldest first. */
  readonly logs: readonly PublicLog[];
}

export type PublicLog = Pick<LogHead, "number" | "origin" | "state" | "size" | "root">;

interface News {
  lastVersion: number;
  logs: readonly PublicLog[];
}

export type Publish = (tenantId: string, waiter?: Waiter) => Promise<Published>;

function publicLog({ number, origin, state, size, root }: LogHead): PublicLog {
  return { number, origin, state, size, root };
}

export function publisher(
  store: Pick<Store, "lastVersion" | "logHeads">,
  publicKeys: Pick<PublicKeys, "all" | "outdated">,
  maxEntries: number,
): Publish {
  /** By tenant, for when the store gives no answer. */
  const last = new LRUCache<string, News>({ max: maxEntries });

  async function news(tenantId: string): Promise<News> {
    try {
      const [lastVersion, heads] = await Promise.all([
        store.lastVersion(tenantId, "signing"),
        store.logHeads(tenantId),
      ]);
      const found = { lastVersion, logs: heads.map(publicLog) };
      if (lastVersion > 0) last.set(tenantId, found); // nothing is kept for names that someone made up
      return found;
    } catch (error) {
      const known = last.get(tenantId);
      if (known === undefined || !hasCode(error, "STORE_UNAVAILABLE")) throw error;
      return known;
    }
  }

  return async (tenantId, waiter) => {
    const { lastVersion, logs } = await abandonOn(waiter?.signal, news(tenantId));
    const present = await publicKeys.all(tenantId, waiter);
    if ((present.keys.at(-1)?.version ?? 0) >= lastVersion) return { ...present, logs };
    publicKeys.outdated(tenantId);
    return { ...(await publicKeys.all(tenantId, waiter)), logs };
  };
}
