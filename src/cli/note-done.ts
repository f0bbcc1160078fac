/**
 * Notes in the configured store that work on it was done. A service that uses the store meanwhile reads the note with
 * its next look, and its metrics tell it.
 */
import { realTime } from "../runtime/time.ts";
import type { Config } from "../config/config.ts";
import { KmsError } from "../errors.ts";
import { openUnlockedStore } from "../keys/store-key/open.ts";
import { placeOf } from "../store/heads/place.ts";
import { newHolder, replicaClockSkewMs } from "../store/lease-renewal.ts";
import type { NotedWork } from "../store/lease-store.ts";
import { openTables } from "../store/registry.ts";
import type { Store } from "../store/store.ts";
import { Failure } from "./command.ts";
import { presentProviderKeys, storeName, using } from "./open-store.ts";

export interface DoneWork {
  work: NotedWork;
  /** Time at which it was begun. */
  at: Date;
  /** Id of the store that the work was done on; undefined for the one that the settings name. */
  storeId?: string;
}

/** Longer than two writes take. A command that is killed between them keeps others from noting for that time. */
const leaseTtlMs = 10_000;

/**
 * Has the provider open the store's key, and notes the work. Gives the time that is noted now: `at`, or a later one that
 * was noted before. Throws a Failure for another store, and for one that no service has used. Throws a KmsError if the
 * provider or the store does not answer.
 */
export async function noteDone(config: Config, done: DoneWork): Promise<Date> {
  // A store that is not there, or that no service has used, is not made.
  const stored = await using(openTables(config.store), (tables) => tables.storeKey());
  const name = storeName(config.store);
  if (stored === undefined) throw new Failure(`${name} has no store key yet: no service has used it`);
  const heads = placeOf(config.store, config.heads);
  return using(presentProviderKeys(config), (providerKeys) =>
    using(openUnlockedStore(config.store, { providerKeys, heads, log: silent, time: realTime }), async ({ store }) => {
      const { storeId } = await store.storeKey();
      if (done.storeId !== undefined && done.storeId !== storeId)
        throw new Failure(`${name} is ${storeId}, and the ${done.work} was one of ${done.storeId}`);
      return note(store, done);
    }),
  );
}

/** Drops remarks on the store and its key, which the service logs. */
const silent = { warn() {} };

async function note(store: Store, { work, at }: DoneWork): Promise<Date> {
  const holder = newHolder();
  const { generation, finishedAt } = await store.lease(work, holder, leaseTtlMs);
  if (generation === undefined) {
    throw new KmsError("CONFLICT", `another process makes or notes a ${work} now`, { advice: "try again" });
  }
  if (finishedAt !== undefined && finishedAt >= at && !isToCome(finishedAt)) {
    await store.lease(work, holder, 0);
    return finishedAt;
  }
  await store.finishLease({ name: work, generation }, at);
  return at;
}

/** Whether a time is in the future, so that a wrong clock noted it. */
export function isToCome(at: Date): boolean {
  return at.getTime() > realTime.now().getTime() + replicaClockSkewMs;
}
