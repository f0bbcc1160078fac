/** The store of a running service: unlocked by its key, not behind its heads file, with its calls and leases observed. */
import type { Logger } from "pino";
import type { StartedAlarm } from "../../alarm.ts";
import type { ProviderKeys } from "../../provider-keys/provider-keys.ts";
import type { Time } from "../../runtime/time.ts";
import { type Heads, startHeads } from "../../store/heads/keeper.ts";
import { type HeadsSettings, placeOf } from "../../store/heads/place.ts";
import { type HeldLeases, heldLeases } from "../../store/held-leases.ts";
import { observedStore } from "../../store/observed-store.ts";
import type { StoreSettings } from "../../store/registry.ts";
import type { Store } from "../../store/store.ts";
import { type Instruments, storeRecorder } from "../../telemetry/instruments.ts";
import { openUnlockedStore, type UnlockedStore } from "./open.ts";

export interface StorageSettings {
  readonly store: StoreSettings;
  readonly heads: HeadsSettings;
}

export interface StorageParts {
  providerKeys: ProviderKeys;
  /** True if nobody need be told of a store that is new. */
  mayBeNew: boolean;
  instruments: Instruments;
  log: Logger;
  time: Time;
  alarm: Pick<StartedAlarm, "changed">;
}

export interface Storage extends Pick<UnlockedStore, "id" | "advice" | "problems" | "close"> {
  store: Store;
  heads: Heads;
  leases: Pick<HeldLeases<unknown>, "holds">;
}

export async function startStorage(settings: StorageSettings, parts: StorageParts): Promise<Storage> {
  const { providerKeys, mayBeNew, instruments, log, time, alarm } = parts;
  const place = placeOf(settings.store, settings.heads);
  await using started = new AsyncDisposableStack();
  const opened = started.adopt(
    await openUnlockedStore(settings.store, {
      providerKeys,
      heads: place,
      log,
      time,
      changed: alarm.changed,
      mayBeNew,
    }),
    (each) => each.close(),
  );
  const { store, ...leases } = heldLeases(
    observedStore(opened.store, storeRecorder(instruments), time),
    time.monotonicMs,
  );
  const heads = started.adopt(
    await startHeads({ store, storeKey: opened.key, place, time, log, changed: alarm.changed }),
    (each) => each.close(),
  );
  const all = started.move();
  return {
    store,
    id: opened.id,
    advice: opened.advice,
    heads,
    leases,
    problems: () => [...opened.problems(), ...heads.problems()],
    close: () => all.disposeAsync(),
  };
}
