/** A keyring with what is composed above it, as one object: for tests that look a key up and change it in one breath. */
import { createKeyring, type Keyring, type KeyringOptions } from "../../src/keys/keyring.ts";
import { createLifecycle, type Lifecycle } from "../../src/keys/lifecycle.ts";
import { pruneAbandoned } from "../../src/keys/maintenance.ts";
import { createRewrap, type Rewrap } from "../../src/keys/rewrapping.ts";
import { createRotation, type RotationOptions } from "../../src/keys/rotation/rotate-keys.ts";
import type { Rotation } from "../../src/keys/rotation/rotation.ts";
import { masterKeys, type TenantKeys } from "../../src/provider-keys/provider-keys.ts";
import type { Provider } from "../../src/provider/provider.ts";

export type WholeKeyringOptions = Omit<KeyringOptions, "masterKeys"> &
  Pick<RotationOptions, "handover" | "pause" | "observe" | "maxAgeDays" | "maxPerSecond"> & {
    provider: Provider;
    otherProviders?: readonly Provider[];
    tenantKeys?: TenantKeys;
  };

export interface WholeKeyring extends Keyring, Rotation, Lifecycle, Rewrap {
  pruneAbandoned(): Promise<number>;
}

export function wholeKeyring({ provider, otherProviders, tenantKeys, ...options }: WholeKeyringOptions): WholeKeyring {
  const { store, clock = () => new Date() } = options;
  const keys = masterKeys({ current: provider, others: otherProviders, tenantKeys });
  const keyring = createKeyring({ ...options, masterKeys: keys });
  return {
    ...keyring,
    ...createRotation({ ...options, keyring }),
    ...createLifecycle({ store, keyring, clock }),
    ...createRewrap({ store, masterKeys: keys, keyring, clock }),
    pruneAbandoned: () => pruneAbandoned(store, clock()),
  };
}
