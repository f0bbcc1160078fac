/** A keyring with what is composed above it, as one object: for tests that look a key up and change it in one breath. */
import { realTime, type Time } from "../../src/runtime/time.ts";
import { createKeyring, type Keyring, type KeyringOptions, type KeyringSettings } from "../../src/keys/keyring.ts";
import { createLifecycle, type Lifecycle, type LifecycleOptions } from "../../src/keys/lifecycle.ts";
import { pruneAbandoned } from "../../src/keys/background.ts";
import { createRewrap, type Rewrap } from "../../src/keys/rewrapping.ts";
import { createRotation, type RotationOptions } from "../../src/keys/rotation/rotate.ts";
import type { Rotation } from "../../src/keys/rotation/rotation.ts";
import { createTimeWitness, type TimeWitness } from "../../src/keys/destruction/time-witness.ts";
import { providerKeys, type TenantProviderKeys } from "../../src/provider-keys/provider-keys.ts";
import type { Provider } from "../../src/provider/provider.ts";
import type { Store } from "../../src/store/store.ts";

/** Caches of a keyring unless a test gives others. */
export const caches: KeyringSettings = { ttlMs: 3_600_000, maxStaleMs: 14_400_000, maxEntries: 1_000 };

export type WholeKeyringOptions = Omit<KeyringOptions, "providerKeys" | "time" | keyof KeyringSettings> &
  Partial<KeyringSettings> &
  Pick<RotationOptions, "handover" | "observe" | "hasOwnKey" | "maxAgeDays" | "maxPerSecond" | "minAgeMs"> & {
    provider: Provider;
    /** That of this machine unless another is given. */
    time?: Time;
    needsTwo?: LifecycleOptions["needsTwo"];
    /** Sees that the wall clock is right, and all time pass, unless another is given. */
    witness?: TimeWitness;
    otherProviders?: readonly Provider[];
    tenantProviderKeys?: TenantProviderKeys;
  };

export interface WholeKeyring extends Keyring, Rotation, Lifecycle, Rewrap {
  pruneAbandoned(): Promise<number>;
}

export function wholeKeyring({
  provider,
  otherProviders,
  tenantProviderKeys,
  needsTwo = () => false,
  time = realTime,
  ...options
}: WholeKeyringOptions): WholeKeyring {
  const { store } = options;
  const keys = providerKeys({ current: provider, others: otherProviders, tenantProviderKeys });
  const keyring = createKeyring({ ...caches, ...options, time, providerKeys: keys });
  const sinceBootMs = () => time.now().getTime();
  const second = { name: "the second clock", read: async () => time.now() };
  const seen: Time = { ...time, monotonicMs: sinceBootMs, sinceBootMs };
  const { witness = createTimeWitness({ store: clockless(store), time: seen, second }) } = options;
  const lifecycle = createLifecycle({ store, keyring, witness, time, needsTwo });
  return {
    ...keyring,
    ...createRotation({ ...options, time, keyring }),
    ...lifecycle,
    async destroyDue(limit) {
      await witness.note();
      return lifecycle.destroyDue(limit);
    },
    ...createRewrap({ store, providerKeys: keys, keyring, time }),
    pruneAbandoned: () => pruneAbandoned(store, time.now()),
  };
}

/** The test's clock is another than that of a server. */
function clockless(store: Store): Store {
  return { ...store, witnessedTime: async () => ({ ...(await store.witnessedTime()), storeAt: undefined }) };
}
