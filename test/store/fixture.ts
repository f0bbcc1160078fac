/** Stores unlocked without a provider, and what a database holds behind their back. */
import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import type { LockedStore, Store } from "../../src/store/store.ts";

export async function unlocked(locked: LockedStore, key: KeyObject = createSecretKey(randomBytes(32))): Promise<Store> {
  const wrapped = randomBytes(60);
  await locked.insertStoreKey(
    {
      storeId: randomBytes(16).toString("hex"),
      provider: "local",
      providerKeyId: "local:00",
      wrapped,
      createdAt: new Date(),
    },
    key,
  );
  return locked.unlock(key);
}
