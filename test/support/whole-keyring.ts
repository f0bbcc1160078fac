/** A keyring with what is composed above it, as one object: for tests that look a key up and change it in one breath. */
import { createKeyring, type Keyring, type KeyringOptions } from "../../src/keys/keyring.ts";
import { createLifecycle, type Lifecycle, type LifecycleOptions } from "../../src/keys/lifecycle.ts";
import { pruneAbandoned } from "../../src/keys/maintenance.ts";
import { createRewrap, type Rewrap } from "../../src/keys/rewrapping.ts";
import { createRotation, type RotationOptions } from "../../src/keys/rotation/rotate-keys.ts";
import type { Rotation } from "../../src/keys/rotation/rotation.ts";
import { createTimeWitness, type TimeWitness } from "../../src/keys/time/time-witness.ts";
import { providerKeys, type TenantProviderKeys } from "../../src/provider-keys/provider-keys.ts";
import type { Provider } from "../../src/provider/provider.ts";
import type { Store } from "../../src/store/store.ts";

export type WholeKeyringOptions = Omit<KeyringOptions, "providerKeys"> &
  Pick<RotationOptions, "handover" | "pause" | "observe" | "hasOwnKey" | "maxAgeDays" | "maxPerSecond" | "minAgeMs"> & {
    provider: Provider;
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
  ...options
}: WholeKeyringOptions): WholeKeyring {
  const { store, clock = () => new Date() } = options;
  const keys = providerKeys({ current: provider, others: otherProviders, tenantProviderKeys });
  const keyring = createKeyring({ ...options, providerKeys: keys });
  const sinceBootMs = () => clock().getTime();
  const second = { name: "the second clock", read: async () => clock() };
  const { witness = createTimeWitness({ store: clockless(store), clock, second, awakeMs: sinceBootMs, sinceBootMs }) } =
    options;
  const lifecycle = createLifecycle({ store, keyring, witness, clock, needsTwo });
  return {
    ...keyring,
    ...createRotation({ ...options, keyring }),
    ...lifecycle,
    async destroyDue(limit) {
      await witness.note();
      return lifecycle.destroyDue(limit);
    },
    ...createRewrap({ store, providerKeys: keys, keyring, clock }),
    pruneAbandoned: () => pruneAbandoned(store, clock()),
  };
}

/** The test's clock is another than that of a server. */
function clockless(store: Store): Store {
  return { ...store, witnessedTime: async () => ({ ...(await store.witnessedTime()), storeAt: undefined }) };
}
