/**
 * `tenant + purpose (+ key id) -> usable key`: what the service's handlers talk to. It puts the parts together and decides
 * nothing itself. A key is used synchronously after it was returned or awaited, see cache.ts.
 */
import { randomBytes } from "node:crypto";
import type { Provider } from "../provider/provider.ts";
import { type LogHandover, logRequestRetentionMs } from "../store/log-store.ts";
import { type KeyChange, requestRetentionMs, type Store } from "../store/store.ts";
import type { Waiter } from "./waiter.ts";
import type { CacheOptions, CacheStats } from "./cache.ts";
import type { PaceOptions } from "./pace.ts";
import { createLifecycle, type Lifecycle } from "./lifecycle.ts";
import { masterKeys, nameOf, type TenantKeys } from "../provider-keys/provider-keys.ts";
import { type PublicKey, publicKeysOf } from "./public-keys.ts";
import { type Publish, publisher } from "./published.ts";
import type { KeyState } from "../store/key-record.ts";
import { purposeKeys } from "./purpose-keys.ts";
import { createRewrap, type Rewrap } from "./rewrapping.ts";
import { createRotation, type RotationOptions } from "./rotation/rotate-keys.ts";
import type { Rotation } from "./rotation/rotation.ts";
import { importDataKey, importSigningKey, type UsableDataKey, type UsableSigningKey } from "./usable-key.ts";

export interface KeyringSettings {
  /** How long an unwrapped key is used before the provider is asked again: `kms.cache.ttl`. */
  ttlMs: number;
  /** How much longer while the provider gives no answer: `kms.cache.max-stale`. */
  maxStaleMs: number;
  /** How long public keys are served while the store gives no answer: `kms.cache.public-ttl`. */
  publicTtlMs: number;
  /** Of each kind: `kms.cache.max-entries`. */
  maxEntries: number;
  /** How long a state read from the store is believed, should news of a change by another replica not come. */
  stateTtlMs: number;
  /** From this age on a key is due for rotation: `kms.rotation.max-age-days`. */
  maxAgeMs: number;
  /** Of those that are due, how many are rotated a second at most. */
  maxRotationsPerSecond: number;
}

const secondMs = 1_000;
const hourMs = 3_600 * secondMs;

export const defaultKeyring: Readonly<KeyringSettings> = {
  ttlMs: hourMs,
  maxStaleMs: 4 * hourMs,
  publicTtlMs: 24 * hourMs,
  maxEntries: 1_000,
  stateTtlMs: 30 * secondMs,
  maxAgeMs: 90 * 24 * hourMs,
  maxRotationsPerSecond: 100,
};

export interface KeyringOptions extends Partial<KeyringSettings> {
  store: Store;
  /** Wraps new keys. Behind the resilience layer: the keyring bounds neither time nor calls. */
  provider: Provider;
  /** Open the keys that they wrapped, and wrap none. */
  otherProviders?: readonly Provider[];
  /** Wrap new keys of tenants that have one of their own. */
  tenantKeys?: TenantKeys;
  /** Has the log of a tenant name the signing key that is about to follow another, if there is a log. */
  handOver?: (tenantId: string, fromKeyId: string, successor: UsableSigningKey) => Promise<LogHandover | undefined>;
  /** Told of each rotation that was tried. */
  observeRotation?: RotationOptions["observe"];
  /** Wall clock, for dates in records. */
  clock?: () => Date;
  /** Monotonic milliseconds, for the caches and the pace of rotations. */
  now?: () => number;
  /** Waits for the pace. */
  pause?: PaceOptions["pause"];
  random?: () => number;
  newKeyId?: () => string;
}

export interface KeyringStats {
  data: CacheStats;
  signing: CacheStats;
  public: CacheStats;
}

export interface Keyring extends Rotation, Lifecycle, Rewrap {
  /** The key to encrypt with; made on a tenant's first call. A cached key is returned at once, without a promise. */
  activeDataKey(tenantId: string, waiter?: Waiter): UsableDataKey | Promise<UsableDataKey>;
  /** The key to sign with, likewise. */
  activeSigningKey(tenantId: string, waiter?: Waiter): UsableSigningKey | Promise<UsableSigningKey>;
  /** The key to decrypt with. CIPHERTEXT_REJECTED for what is not this tenant's; KEY_UNUSABLE where its state forbids it. */
  dataKey(tenantId: string, keyId: string, waiter?: Waiter): UsableDataKey | Promise<UsableDataKey>;
  /** Every signing key but the PENDING ones, oldest first; empty for an unknown tenant. */
  publicKeys(tenantId: string, waiter?: Waiter): Promise<readonly PublicKey[]>;
  publicKey(tenantId: string, keyId: string, waiter?: Waiter): PublicKey | undefined | Promise<PublicKey | undefined>;
  /** What is published of a tenant: those keys as they are now, and its logs. */
  published: Publish;
  /** Loads a tenant's ACTIVE keys before anyone asks for them, and says how many there were; makes none. */
  warm(tenantId: string): Promise<number>;
  /** Forgets every secret that this provider key wrapped: it may not be used any more. */
  forgetWrappedBy(provider: Pick<Provider, "name" | "keyId">): void;
  /** Has every secret that this provider key wrapped unwrapped anew at its next use: another was just denied. */
  doubtWrappedBy(provider: Pick<Provider, "name" | "keyId">): void;
  /** Forgets a key: its state, its public half and the key itself. */
  invalidate(tenantId: string, keyId: string): void;
  /**
   * Call once a minute or so: deletes PENDING records that a crash left more than 10 minutes ago, and says how many; and forgets requests
   * and batches of more than 24 hours ago.
   */
  pruneAbandoned(): Promise<number>;
  /** Call once a minute or so: destroys cached keys past their time, though nobody asks for them. */
  dropExpired(): void;
  stats(): KeyringStats;
  /** Destroys every cached key, and listens to the store no more. */
  close(): void;
}

const abandonedAfterMs = 600 * secondMs;
const keyIdBytes = 16;

export function createKeyring(options: KeyringOptions): Keyring {
  const {
    store,
    provider,
    otherProviders,
    tenantKeys,
    handOver,
    observeRotation,
    clock = () => new Date(),
    newKeyId = randomKeyId,
  } = options;
  const now = options.now ?? (() => performance.now());
  const settings = { ...defaultKeyring, ...options };
  const caching = (ttlMs: number, maxStaleMs: number): CacheOptions => ({
    ttlMs,
    maxStaleMs,
    maxEntries: settings.maxEntries,
    now,
    random: options.random ?? Math.random,
  });
  const shared = {
    store,
    masterKeys: masterKeys({ current: provider, others: otherProviders, tenantKeys }),
    clock,
    newKeyId,
    secretCache: caching(settings.ttlMs, settings.maxStaleMs),
    recordCache: caching(settings.stateTtlMs, 0),
  };
  const publicKeys = publicKeysOf(store, caching(settings.stateTtlMs, settings.publicTtlMs));
  const data = purposeKeys({ ...shared, purpose: "data", importKey: importDataKey });
  const signing = purposeKeys({
    ...shared,
    purpose: "signing",
    importKey: importSigningKey,
    changed: publicKeys.invalidate,
  });
  const parts = [data, signing, publicKeys];
  const renew: RotationOptions["renew"] = ({ purpose, ...wish }, signal) => {
    if (purpose === "data") return data.renew(wish, signal);
    // A compromised key vouches for no other.
    const from = typeof wish.expect === "object" && wish.outgoing === undefined ? wish.expect.active : undefined;
    if (from === undefined || handOver === undefined) return signing.renew(wish, signal);
    const announce = async (successor: UsableSigningKey) =>
      (await handOver(wish.tenantId, from, successor)) ?? "no-log";
    return signing.renew({ ...wish, announce }, signal);
  };
  const invalidate = (tenantId: string, keyId: string) => {
    for (const part of parts) part.invalidate(tenantId, keyId);
  };
  const rotation = createRotation({
    store,
    clock,
    maxAgeMs: settings.maxAgeMs,
    pace: { perSecond: settings.maxRotationsPerSecond, now, ...(options.pause && { pause: options.pause }) },
    renew,
    observe: observeRotation,
  });
  const lifecycle = createLifecycle({ store, clock, renew, changed: invalidate });
  const noticed = (tenantId: string, keyId: string, state: KeyState) => {
    for (const keys of [data, signing]) keys.noticed(tenantId, keyId, state);
  };
  const rewrap = createRewrap({ ...shared, changed: noticed });

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
    ...rotation,
    ...lifecycle,
    ...rewrap,
    activeDataKey: data.active,
    activeSigningKey: signing.active,
    dataKey: data.opening,
    publicKeys: async (tenantId, waiter) => (await publicKeys.all(tenantId, waiter)).keys,
    publicKey: publicKeys.find,
    published: publisher(store, publicKeys, settings.maxEntries),
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
    invalidate,
    async pruneAbandoned() {
      const now = clock().getTime();
      await store.deleteRequestsBefore(new Date(now - requestRetentionMs));
      await store.deleteLogRequestsBefore(new Date(now - logRequestRetentionMs));
      return store.deletePendingBefore(new Date(now - abandonedAfterMs));
    },
    dropExpired() {
      for (const part of parts) part.dropExpired();
    },
    stats: () => ({ data: data.cache.stats(), signing: signing.cache.stats(), public: publicKeys.stats() }),
    close() {
      unwatch();
      for (const part of parts) part.clear();
    },
  };
}

function randomKeyId(): string {
  return randomBytes(keyIdBytes).toString("hex");
}
