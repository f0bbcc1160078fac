/**
 * What the service does with keys though nobody asks. It rotates those that are due (rotation/schedule.ts). At its start and every minute it
 * destroys what is due (destruction/rounds.ts), and drops abandoned PENDING keys, expired request ids and cached keys past their time.
 */
import type { Logger } from "pino";
import { inTime } from "../runtime/deadline.ts";
import type { Time, Timer } from "../runtime/time.ts";
import { requestRetentionMs } from "../store/key-store.ts";
import { logRequestRetentionMs } from "../store/log-store.ts";
import type { Store } from "../store/store.ts";
import { type DestructionRounds, destructionRounds } from "./destruction/rounds.ts";
import type { TimeWitness } from "./destruction/time-witness.ts";
import type { Keyring } from "./keyring.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Rotation } from "./rotation/rotation.ts";
import { type RotationSchedule, scheduleRotation } from "./rotation/schedule.ts";

export interface BackgroundParts {
  /** Rotates the keys that are due. */
  due: Pick<Rotation, "rotateDue">;
  lifecycle: Pick<Lifecycle, "destroyDue">;
  keyring: Pick<Keyring, "dropExpired">;
  store: Store;
  witness: TimeWitness;
  providers: { readonly tenantProviderKeys: { keyOf(tenantId: string): unknown } };
  config: { readonly rotation: { readonly enabled: boolean; readonly checkCron: string } };
  time: Time;
  log: Logger;
}

export interface Background {
  /** Undefined where keys are rotated on request alone. */
  readonly schedule: Omit<RotationSchedule, "start" | "stop"> | undefined;
  /** Called once calls are served: nothing else may hold up the start of the service, or write between the lines of its log. */
  start(): void;
  /** Begins nothing more, and resolves when what is under way has ended. */
  close(): Promise<void>;
}

const maintainEveryMs = 60_000;
const abandonedAfterMs = 600_000;

export function createBackground(parts: BackgroundParts): Background {
  const { lifecycle, store, time, log } = parts;
  const { enabled, checkCron } = parts.config.rotation;
  const schedule = enabled
    ? scheduleRotation({
        cron: checkCron,
        rotation: parts.due,
        store,
        time,
        hasOwnKey: (tenantId) => parts.providers.tenantProviderKeys.keyOf(tenantId) !== undefined,
        report: ({ rotated, failed, remaining }) =>
          log.info({ rotated: rotated.length, failed: failed.length, remaining }, "due keys rotated"),
        fail: (err) => log.error({ err }, "rotation of due keys ended early"),
      })
    : undefined;
  const destructions = destructionRounds({
    store,
    witness: parts.witness,
    destroyDue: lifecycle.destroyDue,
    destroyed: (count) => log.info({ count }, "keys were destroyed whose time had come"),
  });
  const maintenance = createMaintenance(parts, destructions);
  return {
    schedule,
    start() {
      maintenance.start();
      schedule?.start();
    },
    async close() {
      await Promise.all([schedule?.stop(), maintenance.stop()]);
    },
  };
}

/** What failed is logged, and the next minute tries again. */
function createMaintenance({ store, keyring, time, log }: BackgroundParts, destructions: DestructionRounds) {
  const stopped = new AbortController();
  const fail = (err: unknown) => log.warn({ err }, "maintenance of keys is tried again in a minute");

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
      timer = time.every(maintainEveryMs, workNext);
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
export async function pruneAbandoned(
  store: Pick<Store, "deleteRequestsBefore" | "deleteLogRequestsBefore" | "deletePendingBefore">,
  at: Date,
): Promise<number> {
  const before = (ms: number) => new Date(at.getTime() - ms);
  await store.deleteRequestsBefore(before(requestRetentionMs));
  await store.deleteLogRequestsBefore(before(logRequestRetentionMs));
  return store.deletePendingBefore(before(abandonedAfterMs));
}
