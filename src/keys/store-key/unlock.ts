/**
 * The key that authenticates every row of the store: 32 random bytes, wrapped by the provider, in the store itself. It is made only in a
 * store that has nothing yet, read back and unwrapped before it is used; of replicas that start at once all use the one that was first.
 */
import { createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from "node:crypto";
import type { Time } from "../../runtime/time.ts";
import { hasCode, KmsError } from "../../errors.ts";
import type { Provider } from "../../provider/provider.ts";
import { step } from "../../failpoints.ts";
import type { LockedStore, Store, StoreKeyChange, WrappedStoreKey } from "../../store/store.ts";
import { hasWrapped, type ProviderKeys, wrappedBy } from "../../provider-keys/provider-keys.ts";
import { fingerprintOf, pinAdvice, refuseNew, refuseOther } from "./pin.ts";
import { secretBytes } from "../unwrap.ts";

const storeIdBytes = 16;

/**
 * Throws DATA_LOSS or PROVIDER_DENIED where the store was made with another master key, was robbed of its key, was altered, or is not
 * the one that is pinned. `advise` is told what to set where it should be pinned and is not.
 */
export async function unlockStore(
  locked: LockedStore,
  providerKeys: ProviderKeys,
  time: Time,
  advise?: (advice: string) => void,
): Promise<Store> {
  return (await unlockWithKey(locked, providerKeys, time, { advise })).store;
}

/** A store key as it is stored, and opened. */
export interface OpenedStoreKey {
  wrapped: WrappedStoreKey;
  key: KeyObject;
}

export interface UnlockOptions {
  /** A key that was opened already: the provider is not asked again if the store has it. */
  known?: OpenedStoreKey | undefined;
  advise?: ((advice: string) => void) | undefined;
  /** Called before a store that has no key gets its first; what it throws keeps it from that. */
  beforeNew?: () => Promise<void>;
}

/** Unlocks as `unlockStore` does. Also gives the key that authenticates the store, its id, and whether there was none before. */
export async function unlockWithKey(
  locked: LockedStore,
  providerKeys: ProviderKeys,
  time: Time,
  { known, advise, beforeNew }: UnlockOptions = {},
): Promise<{ store: Store; key: KeyObject; storeId: string; isNew: boolean }> {
  const found = await locked.storeKey();
  if (found === undefined) await beforeNew?.();
  const present = found ?? (await makeStoreKey(locked, providerKeys, time));
  const isKnown = known !== undefined && Buffer.compare(known.wrapped.wrapped, present.wrapped) === 0;
  const key = isKnown ? known.key : await openStoreKey(present, providerKeys, locked.refuseDamaged);
  const advice = pinAdvice(fingerprintOf(key), providerKeys.shared, providerKeys.storeKeyPin);
  const store = await locked.unlock(key);
  if (advice !== undefined) advise?.(advice);
  return { store, key, storeId: present.storeId, isNew: found === undefined };
}

/** Unwraps the store key as `unwrapStoreKey` does. The row that names the provider's key may be what is damaged: then `refuseDamaged` says so. */
export async function openStoreKey(
  stored: WrappedStoreKey,
  providerKeys: ProviderKeys,
  refuseDamaged: () => Promise<void>,
): Promise<KeyObject> {
  return unwrapStoreKey(stored, providerKeys).catch(async (error) => {
    if (hasCode(error, "PROVIDER_DENIED")) await refuseDamaged();
    throw error;
  });
}

async function makeStoreKey(locked: LockedStore, providerKeys: ProviderKeys, time: Time): Promise<WrappedStoreKey> {
  const { current: provider, storeKeyPin } = providerKeys;
  refuseNew(storeKeyPin);
  const secret = randomBytes(secretBytes);
  try {
    const storeId = randomBytes(storeIdBytes).toString("hex");
    const wrapped = await provider.encrypt(secret, storeKeyContext(storeId));
    step("store-key.wrapped");
    const fresh = { storeId, provider: provider.name, providerKeyId: provider.keyId, wrapped, createdAt: time.now() };
    await locked.insertStoreKey(fresh, createSecretKey(secret));
    step("store-key.stored");
  } finally {
    secret.fill(0);
  }
  const stored = await locked.storeKey();
  if (stored === undefined) throw new KmsError("STORE_UNAVAILABLE", "the store key was stored and is not there");
  return stored;
}

/**
 * By a provider key that is configured for all, never by one that only the store names, or that is a tenant's. PROVIDER_DENIED for a provider that does not bind what it
 * wraps to its context: under it a key would open in another tenant's place.
 */
export async function unwrapStoreKey(stored: WrappedStoreKey, providerKeys: ProviderKeys): Promise<KeyObject> {
  const secret = await openBound(stored, providerKeys);
  try {
    return createSecretKey(secret);
  } finally {
    secret.fill(0);
  }
}

/**
 * The store key under the current provider key; false where it is already. It is opened anew, wrapped, opened again, refused under
 * another context, and compared, before the store has it. PROVIDER_UNAVAILABLE where the provider does not give it back.
 */
export async function rewrapStoreKey(store: Store, providerKeys: ProviderKeys, by: StoreKeyChange): Promise<boolean> {
  const present = await store.storeKey();
  const { current } = providerKeys;
  if (hasWrapped(current, present)) return false;
  const secret = await openBound(present, providerKeys);
  try {
    const wrapped = await current.encrypt(secret, storeKeyContext(present.storeId));
    const next = { ...present, ...wrappedBy(current), wrapped };
    await prove(next, secret, providerKeys);
    step("store-key.proven");
    await store.replaceStoreKey(present, next, by, createSecretKey(secret));
    step("store-key.replaced");
    return true;
  } catch (error) {
    // Another replica, most likely to the same end.
    if (hasCode(error, "CONFLICT") && hasWrapped(current, await store.storeKey())) return false;
    throw error;
  } finally {
    secret.fill(0);
  }
}

async function prove(next: WrappedStoreKey, secret: Uint8Array, providerKeys: ProviderKeys): Promise<void> {
  const failed = (cause?: unknown) =>
    new KmsError("PROVIDER_UNAVAILABLE", "the provider did not give back the store key as it wrapped it", { cause });
  const opened = await openBound(next, providerKeys).catch((error) => {
    throw hasCode(error, "DATA_LOSS") ? failed(error) : error;
  });
  try {
    if (!timingSafeEqual(opened, secret)) throw failed();
  } finally {
    opened.fill(0);
  }
}

/** The caller owns, and overwrites, the result. */
async function openBound(stored: WrappedStoreKey, providerKeys: ProviderKeys): Promise<Uint8Array> {
  const provider = providerKeys.ofStore(stored);
  const secret = await open(stored, provider);
  try {
    if (secret.length !== secretBytes) throw new KmsError("DATA_LOSS", "the store key does not have its length");
    refuseOther(secret, providerKeys.storeKeyPin);
    await refuseUnbound(stored, provider);
    return secret;
  } catch (error) {
    secret.fill(0);
    throw error;
  }
}

async function refuseUnbound({ wrapped, storeId }: WrappedStoreKey, provider: Provider): Promise<void> {
  let opened: Uint8Array;
  try {
    opened = await provider.decrypt(wrapped, storeKeyContext(`not ${storeId}`));
  } catch (error) {
    if (hasCode(error, "CIPHERTEXT_REJECTED")) return;
    throw error;
  }
  opened.fill(0);
  const message = `the provider ${provider.name} opens a key under another encryption context than it was wrapped under: it cannot be trusted`;
  throw new KmsError("PROVIDER_DENIED", message);
}

async function open({ wrapped, storeId }: WrappedStoreKey, provider: Provider): Promise<Uint8Array> {
  try {
    return await provider.decrypt(wrapped, storeKeyContext(storeId));
  } catch (cause) {
    if (!hasCode(cause, "CIPHERTEXT_REJECTED")) throw cause;
    const message = `the store key cannot be opened by ${provider.keyId}: it was altered, or that key replaced; restore the store from a backup, or the key`;
    throw new KmsError("DATA_LOSS", message, { cause });
  }
}

/** The encryption context under which the store key is wrapped. */
export function storeKeyContext(storeId: string): Readonly<Record<string, string>> {
  return { purpose: "store", store_id: storeId };
}
