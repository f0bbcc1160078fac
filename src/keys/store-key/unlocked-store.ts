/** The configured store, opened and unlocked by its key; nothing stays open where that fails. */
import type { KeyObject } from "node:crypto";
import type { Logger } from "pino";
import type { ProviderKeys } from "../../provider-keys/provider-keys.ts";
import { openStore, type StoreSettings } from "../../store/registry.ts";
import type { Store } from "../../store/store.ts";
import { unlockWithKey } from "./unlock.ts";

export interface UnlockedStore {
  store: Store;
  /** The key that authenticates every row. */
  key: KeyObject;
  /** What to set about the store key, one sentence each. */
  advice: readonly string[];
  close(): Promise<void>;
}

/** Throws as `openStore` and `unlockStore` do. `log` is told what to set. */
export async function openUnlockedStore(
  settings: StoreSettings,
  { providerKeys, log }: { providerKeys: ProviderKeys; log: Pick<Logger, "warn"> },
): Promise<UnlockedStore> {
  const locked = await openStore(settings);
  for (const each of locked.remarks) log.warn(each);
  const advice: string[] = [];
  try {
    const { store, key } = await unlockWithKey(locked, providerKeys, (one) => advice.push(one));
    for (const each of advice) log.warn(each);
    return { store, key, advice, close: store.close };
  } catch (error) {
    await locked.close();
    throw error;
  }
}
