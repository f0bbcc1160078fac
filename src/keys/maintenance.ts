/** Background maintenance, at the start and every minute: due destructions, abandoned PENDING keys, expired request ids, cached keys past their time. */
import { logRequestRetentionMs } from "../store/log-store.ts";
import { requestRetentionMs } from "../store/key-store.ts";
import type { Store } from "../store/store.ts";
import type { Keyring } from "./keyring.ts";
import type { Lifecycle } from "./lifecycle.ts";

type PrunedStore = Pick<Store, "deleteRequestsBefore" | "deleteLogRequestsBefore" | "deletePendingBefore">;

export interface MaintenanceOptions {
  store: PrunedStore;
  keyring: Pick<Keyring, "dropExpired">;
  lifecycle: Pick<Lifecycle, "destroyDue">;
  clock?: () => Date;
  /** Told how many keys were destroyed, when any was. */
  destroyed(count: number): void;
  /** Told of what failed; the next minute tries again. */
  fail(error: unknown): void;
}

export interface Maintenance {
  /** Begins nothing more, and waits for what is under way. */
  stop(): Promise<void>;
}

const everyMs = 60_000;
const destroyBatch = 100;
const abandonedAfterMs = 600_000;

export function startMaintenance(options: MaintenanceOptions): Maintenance {
  const { store, keyring, lifecycle, clock = () => new Date(), destroyed, fail } = options;
  let stopped = false;

  async function destroyAllDue(): Promise<void> {
    for (let count = destroyBatch; count === destroyBatch && !stopped; ) {
      count = await lifecycle.destroyDue(destroyBatch);
      if (count > 0) destroyed(count);
    }
  }

  async function work(): Promise<void> {
    keyring.dropExpired();
    for (const task of [() => pruneAbandoned(store, clock()), destroyAllDue]) await task().catch(fail);
  }

  let working = work();
  const timer = setInterval(() => {
    working = working.then(work);
  }, everyMs).unref();
  return {
    async stop() {
      stopped = true;
      clearInterval(timer);
      await working;
    },
  };
}

/**
 * Deletes PENDING records that a crash left more than 10 minutes ago, and returns how many; and forgets requests and batches of more than
 * 24 hours ago.
 */
export async function pruneAbandoned(store: PrunedStore, at: Date): Promise<number> {
  const before = (ms: number) => new Date(at.getTime() - ms);
  await store.deleteRequestsBefore(before(requestRetentionMs));
  await store.deleteLogRequestsBefore(before(logRequestRetentionMs));
  return store.deletePendingBefore(before(abandonedAfterMs));
}
