/** What has to be done every minute though nobody asks for it, and at once after a start: destructions that are due, and leftovers. */
import type { Keyring } from "./keyring.ts";

export interface MaintenanceOptions {
  keyring: Pick<Keyring, "dropExpired" | "pruneAbandoned" | "destroyDue">;
  /** Told how many keys were destroyed, when any was. */
  destroyed(count: number): void;
  /** Told of what failed; the next minute tries again. */
  fail(error: unknown): void;
}

const everyMs = 60_000;
const destroyBatch = 100;

/** Returns how to stop it, which waits for what is under way. */
export function startMaintenance({ keyring, destroyed, fail }: MaintenanceOptions): () => Promise<void> {
  let stopped = false;

  async function destroyAllDue(): Promise<void> {
    for (let count = destroyBatch; count === destroyBatch && !stopped; ) {
      count = await keyring.destroyDue(destroyBatch);
      if (count > 0) destroyed(count);
    }
  }

  async function work(): Promise<void> {
    keyring.dropExpired();
    for (const task of [keyring.pruneAbandoned, destroyAllDue]) await task().catch(fail);
  }

  let working = work();
  const timer = setInterval(() => {
    working = working.then(work);
  }, everyMs).unref();
  return async () => {
    stopped = true;
    clearInterval(timer);
    await working;
  };
}
