/** What the service does with keys though nobody asks: it rotates those that are due, and tidies up. */
import type { Logger } from "pino";
import type { Store } from "../store/store.ts";
import type { Keyring } from "./keyring.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { createMaintenance } from "./maintenance.ts";
import type { Rotation } from "./rotation/rotation.ts";
import { type RotationSchedule, scheduleRotation } from "./rotation/schedule.ts";
import { destructionRounds } from "./time/destruction-rounds.ts";
import type { TimeWitness } from "./time/time-witness.ts";
import type { Time } from "../runtime/time.ts";

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

export function createBackground(parts: BackgroundParts): Background {
  const { lifecycle, keyring, store, time, log } = parts;
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
  const maintenance = createMaintenance({
    store,
    keyring,
    destructions: destructionRounds({
      store,
      witness: parts.witness,
      destroyDue: lifecycle.destroyDue,
      destroyed: (count) => log.info({ count }, "keys were destroyed whose time had come"),
    }),
    time,
    fail: (err) => log.warn({ err }, "maintenance of keys is tried again in a minute"),
  });
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
