/** The configured store, opened and unlocked by its key; nothing stays open where that fails. */
import type { KeyObject } from "node:crypto";
import type { Logger } from "pino";
import type { Time } from "../../runtime/time.ts";
import type { ProviderKeys } from "../../provider-keys/provider-keys.ts";
import { openStore, type StoreSettings } from "../../store/registry.ts";
import type { Store } from "../../store/store.ts";
import { type JoinedStore, joinStore } from "../../upgrade/joined-store.ts";
import { unlockWithKey } from "./unlock.ts";

export interface UnlockedStore {
  store: Store;
  /** The key that authenticates every row. */
  key: KeyObject;
  /** What to set about the store key, one sentence each. */
  advice: readonly string[];
  /** See JoinedStore. */
  problems: JoinedStore["problems"];
  close(): Promise<void>;
}

/** Throws as `openStore` and `unlockStore` do. `log` is told what to set, and `changed` when `problems` has something else to say. */
export async function openUnlockedStore(
  settings: StoreSettings,
  {
    providerKeys,
    log,
    time,
    changed,
  }: { providerKeys: ProviderKeys; log: Pick<Logger, "warn">; time: Time; changed?: () => void },
): Promise<UnlockedStore> {
  const locked = await openStore(settings, time);
  for (const each of locked.remarks) log.warn(each);
  const advice: string[] = [];
  try {
    const { store, key, isNew } = await unlockWithKey(locked, providerKeys, time, (one) => advice.push(one));
    if (isNew && settings.name !== "memory") log.warn(beginning(settings));
    for (const each of advice) log.warn(each);
    const { store: joined, problems, leave } = joinStore(store, { changed, time });
    return { store: joined, key, advice, problems, close: () => leave().finally(store.close) };
  } catch (error) {
    await locked.close();
    throw error;
  }
}

/** Keys are made for every tenant anew in a store that has none, as if there had never been any. */
function beginning(settings: StoreSettings): string {
  const [where, what] =
    settings.name === "sqlite"
      ? [`the SQLite store ${settings.file}`, "its volume is mounted"]
      : ["the PostgreSQL store", "fluo.kms.postgres.url names the right database"];
  return `${where} is new, and has no key yet: if there should be one, end this service, and see that ${what}`;
}
