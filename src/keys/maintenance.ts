/** Background maintenance, at its start and every minute: due destructions, abandoned PENDING keys, expired request ids, cached keys past their time. */
import { logRequestRetentionMs } from "../store/log-store.ts";
import { inTime } from "../runtime/deadline.ts";
import { requestRetentionMs } from "../store/key-store.ts";
import type { Store } from "../store/store.ts";
import type { Keyring } from "./keyring.ts";
import type { DestructionRounds } from "./time/destruction-rounds.ts";
import type { Time, Timer } from "../runtime/time.ts";

type PrunedStore = Pick<Store, "deleteRequestsBefore" | "deleteLogRequestsBefore" | "deletePendingBefore">;

export interface MaintenanceOptions {
  store: PrunedStore;
  keyring: Pick<Keyring, "dropExpired">;
  destructions: DestructionRounds;
  time: Time;
  /** Told of what failed; the next minute tries again. */
  fail(error: unknown): void;
}

export interface Maintenance {
  start(): void;
  /** Begins nothing more, and waits for what is under way. */
  stop(): Promise<void>;
}

const everyMs = 60_000;
const abandonedAfterMs = 600_000;

export function createMaintenance(options: MaintenanceOptions): Maintenance {
  const { store, keyring, destructions, time, fail } = options;
  const stopped = new AbortController();

  async function work(): Promise<void> {
    if (stopped.signal.aborted) return;
    keyring.dropExpired();
    const tasks = [() => pruneAbandoned(store, time.now()), () => destructions.run(stopped.signal)];
    for (const task of tasks) await task().catch(fail);
  }

  let working = Promise.resolve();
  let timer: Timer | undefined;
  const workNext = () => {
    working = working.then(work);
  };
  return {
    start() {
      workNext();
      timer = time.every(everyMs, workNext);
    },
    async stop() {
      if (stopped.signal.aborted) return working;
      stopped.abort();
      time.clear(timer);
      working = working.then(() => inTime(time, destructions.end()).catch(fail));
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
