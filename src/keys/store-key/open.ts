/** The configured store, opened and unlocked by its key; nothing stays open where that fails. */
import type { KeyObject } from "node:crypto";
import type { Logger } from "pino";
import type { Time } from "../../runtime/time.ts";
import type { ProviderKeys } from "../../provider-keys/provider-keys.ts";
import type { HeadsPlace } from "../../store/heads/place.ts";
import { refuseBehind, refuseEmpty } from "../../store/heads/judge.ts";
import { openStore, type SqliteSettings, type StoreSettings, whileStored } from "../../store/registry.ts";
import type { Store } from "../../store/store.ts";
import { type JoinedStore, joinStore } from "../../upgrade/joined-store.ts";
import { type OpenedStoreKey, openStoreKey, unlockWithKey } from "./unlock.ts";

export interface UnlockedStore {
  store: Store;
  /** The key that authenticates every row. */
  key: KeyObject;
  /** The store's id. */
  id: string;
  /** What to set about the store key, one sentence each. */
  advice: readonly string[];
  /** See JoinedStore. */
  problems: JoinedStore["problems"];
  close(): Promise<void>;
}

export interface UnlockParts {
  providerKeys: ProviderKeys;
  /** The place of the store's heads file. Undefined if none is kept, or if the store is used although it is behind that. */
  heads: HeadsPlace | undefined;
  /** Log for remarks on the store, and advice on settings. */
  log: Pick<Logger, "warn">;
  time: Time;
  /** Whether nobody need be told of a store that is new. */
  mayBeNew?: boolean;
  /** Called when `problems` has something else to say. */
  changed?: () => void;
}

/**
 * Throws as `openStore` and `unlockStore` do, and a finding for a store that is behind its heads file. A SQLite file is judged before anything of it
 * is opened for writing.
 */
export async function openUnlockedStore(settings: StoreSettings, parts: UnlockParts): Promise<UnlockedStore> {
  const { providerKeys, heads, log, time, changed, mayBeNew = false } = parts;
  const known = settings.name === "sqlite" ? await judged(settings, parts) : undefined;
  const locked = await openStore(settings, time);
  for (const each of locked.remarks) log.warn(each);
  const advice: string[] = [];
  try {
    const { store, key, storeId, isNew } = await unlockWithKey(locked, providerKeys, time, {
      known,
      advise: (one) => advice.push(one),
      beforeNew: () => refuseEmpty(heads, locked),
    });
    if (settings.name !== "sqlite") await refuseBehind(store, key, heads);
    if (isNew && !mayBeNew && settings.name !== "memory") log.warn(beginning(settings));
    for (const each of advice) log.warn(each);
    const { store: joined, problems, leave } = joinStore(store, { changed, time });
    return { store: joined, key, id: storeId, advice, problems, close: () => leave().finally(store.close) };
  } catch (error) {
    await locked.close();
    throw error;
  }
}

/** Refuses a SQLite store that is behind its heads file; else gives the key that opens it, if it has one yet. */
async function judged(
  settings: SqliteSettings,
  { heads, providerKeys }: UnlockParts,
): Promise<OpenedStoreKey | undefined> {
  return whileStored(settings, async (store) => {
    const wrapped = await store.storeKey();
    if (wrapped === undefined) return void (await refuseEmpty(heads, store));
    const key = await openStoreKey(wrapped, providerKeys, store.heads(undefined).refuseDamaged);
    await refuseBehind(store.heads(key), key, heads);
    return { wrapped, key };
  });
}

/** Keys are made for every tenant anew in a store that has none, as if there had never been any. */
function beginning(settings: StoreSettings): string {
  const [where, what] =
    settings.name === "sqlite"
      ? [`the SQLite store ${settings.file}`, "its volume is mounted"]
      : ["the PostgreSQL store", "fluo.kms.postgres.url names the right database"];
  return `${where} is new, and has no key yet: if there should be one, end this service, and see that ${what}`;
}
