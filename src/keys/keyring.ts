/**
 * Keys in use: `tenant + purpose (+ key id) -> usable key`. It looks keys up and makes a tenant's first; what changes keys is composed above
 * it: rotation/, lifecycle.ts, rewrapping.ts. A key is used synchronously after it was returned or awaited, see cache.ts.
 */
import { randomBytes } from "node:crypto";
import type { Role } from "../call/roles.ts";
import type { Provider } from "../provider/provider.ts";
import { keyedBuckets } from "../limits/keyed-buckets.ts";
import { admit, rateOf } from "../limits/token-bucket.ts";
import { type ProviderKeys, nameOf } from "../provider-keys/provider-keys.ts";
import type { KeyRecord, KeyState } from "../store/key-record.ts";
import type { Activation, KeyChange } from "../store/key-store.ts";
import type { Store } from "../store/store.ts";
import type { CacheStats } from "./cache.ts";
import type { Wish } from "./create.ts";
import { type PublicKeys, publicKeysOf } from "./public-keys.ts";
import { type Publish, publisher } from "./published.ts";
import { purposeKeys } from "./purpose-keys.ts";
import { importDataKey, importSigningKey, type UsableDataKey, type UsableSigningKey } from "./usable-key.ts";
import type { Waiter } from "./waiter.ts";
import type { Time } from "../runtime/time.ts";

/** Settings of the caches; config/known-settings.ts has their defaults. */
export interface KeyringSettings {
  /** How long an unwrapped key is used before the provider is asked again: `kms.cache.ttl`. */
  ttlMs: number;
  /** How much longer while the provider gives no answer: `kms.cache.max-stale`. */
  maxStaleMs: number;
  /** Of each kind: `kms.cache.max-entries`. */
  maxEntries: number;
}

/** Times that no setting changes. */
export const recordTimes = {
  /** How long a state read from the store is believed, should news of a change by another replica not come. */
  stateTtlMs: 30_000,
  /** How long public keys are served while the store gives no answer. */
  publicTtlMs: 24 * 60 * 60_000,
};

export interface KeyringOptions extends KeyringSettings, Partial<typeof recordTimes> {
  store: Store;
  /** Wrap new keys and open them again. Behind the resilience layer: the keyring bounds neither time nor calls. */
  providerKeys: ProviderKeys;
  /** Tenants that one caller brings in a second, at most: `fluo.kms.limit.new-tenants`. 0 for any number. */
  newTenantsPerSecond?: number | undefined;
  time: Time;
  random?: () => number;
  newKeyId?: () => string;
}

export interface KeyringStats {
  data: CacheStats;
  signing: CacheStats;
  public: CacheStats;
}

/** A new ACTIVE key in the place of another: who wants it, and what must still hold when it is activated. */
export type Renewal = Omit<Activation, "keyId" | "at" | "handover"> & {
  /** Activates a new signing key with its handover in the tenant's log. */
  handOver?: Wish<"signing">["handOver"];
};

/** Makes, proves and activates a key, which is in use here from then on. CONFLICT when `expect` no longer holds. */
export type Renew = (renewal: Renewal, signal?: AbortSignal) => Promise<KeyRecord>;

export interface Keyring {
  /**
   * The key to encrypt with; made on a tenant's first call, under the role by which the waiter may make it. A cached key is returned at once,
   * without a promise.
   */
  activeDataKey(tenantId: string, waiter?: Waiter, role?: Role): UsableDataKey | Promise<UsableDataKey>;
  /** The key to sign with, likewise. */
  activeSigningKey(tenantId: string, waiter?: Waiter, role?: Role): UsableSigningKey | Promise<UsableSigningKey>;
  /** The key to decrypt with. CIPHERTEXT_REJECTED for what is not this tenant's; KEY_UNUSABLE where its state forbids it. */
  dataKey(tenantId: string, keyId: string, waiter?: Waiter): UsableDataKey | Promise<UsableDataKey>;
  /** Public halves of signing keys, and what is published of a tenant: its logs too. */
  readonly publicKeys: Pick<PublicKeys, "all" | "find"> & { published: Publish };
  renew: Renew;
  /** Loads a tenant's ACTIVE keys before anyone asks for them, and says how many there were; makes none. */
  warm(tenantId: string): Promise<number>;
  /** Forgets every secret that this provider key wrapped: it may not be used any more. */
  forgetWrappedBy(provider: Pick<Provider, "name" | "keyId">): void;
  /** Has every secret that this provider key wrapped unwrapped again at its next use: another was just denied. */
  doubtWrappedBy(provider: Pick<Provider, "name" | "keyId">): void;
  /** Forgets a key: its state, its public half and the key itself. */
  invalidate(tenantId: string, keyId: string): void;
  /** The key is in this state now. Its secret is forgotten too unless it still has a use. */
  noticed(tenantId: string, keyId: string, state: KeyState): void;
  /** Call once a minute or so: destroys cached keys past their time, though nobody asks for them. */
  dropExpired(): void;
  stats(): KeyringStats;
  /** Destroys every cached key, and listens to the store no more. */
  close(): void;
}

const keyIdBytes = 16;

/** RATE_LIMITED, with the time until it fits, for a caller that brings more in a second. */
function admitTenants(perSecond: number, now: Time["monotonicMs"]): (caller: string) => void {
  const buckets = keyedBuckets(rateOf(perSecond, perSecond), { now });
  return (caller) => admit(buckets.of(caller));
}

export function createKeyring(options: KeyringOptions): Keyring {
  const { store, providerKeys, time, newKeyId = randomKeyId } = options;
  const { stateTtlMs, publicTtlMs } = { ...recordTimes, ...options };
  const { ttlMs, maxStaleMs, maxEntries, newTenantsPerSecond = 0, random = Math.random } = options;
  const shared = { maxEntries, time, random };
  const ofPurposes = {
    store,
    providerKeys,
    time,
    newKeyId,
    admitTenant: newTenantsPerSecond > 0 ? admitTenants(newTenantsPerSecond, time.monotonicMs) : undefined,
    secretCache: { ttlMs, maxStaleMs, ...shared },
    stateTtlMs,
  };
  const publicKeys = publicKeysOf(store, { ttlMs: stateTtlMs, maxStaleMs: publicTtlMs, ...shared });
  const data = purposeKeys({ ...ofPurposes, purpose: "data", importKey: importDataKey });
  const signing = purposeKeys({
    ...ofPurposes,
    purpose: "signing",
    importKey: importSigningKey,
    changed: publicKeys.invalidate,
  });
  const parts = [data, signing, publicKeys];
  const noticed = (tenantId: string, keyId: string, state: KeyState) => {
    for (const keys of [data, signing]) keys.noticed(tenantId, keyId, state);
  };

  /** What other replicas did. */
  const unwatch = store.watch((change: KeyChange) => {
    if (change === "any") {
      for (const keys of [data, signing]) keys.forgetRecords();
      publicKeys.clear();
      return;
    }
    const { tenantId, keyId, state } = change;
    noticed(tenantId, keyId, state);
    publicKeys.invalidate(tenantId, keyId);
  });

  return {
    activeDataKey: data.active,
    activeSigningKey: signing.active,
    dataKey: data.opening,
    publicKeys: { ...publicKeys, published: publisher(store, publicKeys, maxEntries) },
    renew: ({ purpose, handOver, ...renewal }, signal) =>
      purpose === "data" ? data.renew(renewal, signal) : signing.renew({ ...renewal, handOver }, signal),
    async warm(tenantId) {
      const found = await Promise.all([data.warm(tenantId), signing.warm(tenantId)]);
      return found.filter(Boolean).length;
    },
    forgetWrappedBy({ name, keyId }) {
      for (const keys of [data, signing]) keys.forgetWrappedBy(nameOf({ provider: name, providerKeyId: keyId }));
    },
    doubtWrappedBy({ name, keyId }) {
      for (const keys of [data, signing]) keys.doubtWrappedBy(nameOf({ provider: name, providerKeyId: keyId }));
    },
    invalidate(tenantId, keyId) {
      for (const part of parts) part.invalidate(tenantId, keyId);
    },
    noticed,
    dropExpired() {
      for (const part of parts) part.dropExpired();
    },
    stats: () => ({ data: data.stats(), signing: signing.stats(), public: publicKeys.stats() }),
    close() {
      unwatch();
      for (const part of parts) part.clear();
    },
  };
}

/** Returns the statistics of each cache with its kind of key and its bound. */
export function cachesOf(keyring: Pick<Keyring, "stats">, maxSize: number) {
  return Object.entries(keyring.stats()).map(([keyType, stats]) => ({ keyType, maxSize, ...stats }));
}

function randomKeyId(): string {
  return randomBytes(keyIdBytes).toString("hex");
}
