/** The public half of a tenant's signing keys, for verifiers: no provider call, no secret. */
import { KmsError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { type CacheOptions, type CacheStats, createCache } from "./cache.ts";
import { unlessCancelled, type Waiter } from "./cancel.ts";
import type { KeyRecord, KeyState } from "./record.ts";

export interface PublicKey {
  readonly keyId: string;
  readonly version: number;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly state: KeyState;
  readonly validFrom: Date;
  /** Undefined while the key is not retired. */
  readonly validUntil: Date | undefined;
  readonly compromisedAt: Date | undefined;
}

export interface PublicKeys {
  /** By version, oldest first; empty for a tenant without signing keys. */
  list(tenantId: string, waiter?: Waiter): readonly PublicKey[] | Promise<readonly PublicKey[]>;
  /** Undefined for what is not the id of a signing key of this tenant. */
  find(tenantId: string, keyId: string, waiter?: Waiter): PublicKey | undefined | Promise<PublicKey | undefined>;
  invalidate(tenantId: string): void;
  dropExpired(): void;
  clear(): void;
  stats(): CacheStats;
}

/** A replica may sign with a key for 30 s after another retired it; the rest is for clocks that differ. */
const retirementGraceMs = 60_000;

interface TenantKeys {
  all: readonly PublicKey[];
  byId: ReadonlyMap<string, PublicKey>;
  destroy(): void;
}

export function publicKeysOf(store: Store, options: CacheOptions): PublicKeys {
  const cache = createCache<TenantKeys>(options);

  /** NOT_FOUND for a tenant without keys, so that the cache keeps nothing for names that someone made up. */
  async function read(tenantId: string): Promise<TenantKeys> {
    const all = (await store.list(tenantId, "signing")).map(publicPart);
    if (all.length === 0) throw new KmsError("NOT_FOUND", `tenant ${tenantId} has no signing key`);
    return { all, byId: new Map(all.map((key) => [key.keyId, key])), destroy() {} };
  }

  async function load(tenantId: string): Promise<TenantKeys | undefined> {
    try {
      return await cache.load(tenantId, () => read(tenantId));
    } catch (error) {
      if (error instanceof KmsError && error.code === "NOT_FOUND") return undefined;
      throw error;
    }
  }

  async function retrieve(tenantId: string, keyId: string): Promise<PublicKey | undefined> {
    return (await load(tenantId))?.byId.get(keyId) ?? findInStore(tenantId, keyId);
  }

  /** What a cached list lacks may be a key that another replica made a moment ago; without the store nobody knows. */
  async function findInStore(tenantId: string, keyId: string): Promise<PublicKey | undefined> {
    const record = await store.get(tenantId, keyId);
    if (record?.purpose !== "signing" || record.state === "PENDING") return undefined;
    cache.invalidate(tenantId);
    return publicPart(record);
  }

  return {
    list(tenantId, waiter) {
      return (
        cache.get(tenantId)?.all ??
        unlessCancelled(
          load(tenantId).then((keys) => keys?.all ?? []),
          waiter,
        )
      );
    },

    find(tenantId, keyId, waiter) {
      return cache.get(tenantId)?.byId.get(keyId) ?? unlessCancelled(retrieve(tenantId, keyId), waiter);
    },

    invalidate: cache.invalidate,
    dropExpired: cache.dropExpired,
    clear: cache.clear,
    stats: cache.stats,
  };
}

function publicPart({ keyId, version, publicKey, state, ...record }: KeyRecord): PublicKey {
  return {
    keyId,
    version,
    publicKey,
    state,
    validFrom: record.activatedAt!, // every record but a PENDING one was activated
    validUntil: record.retiredAt && new Date(record.retiredAt.getTime() + retirementGraceMs),
    compromisedAt: record.compromisedAt,
  };
}
