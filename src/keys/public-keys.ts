/** The public half of a tenant's signing keys, for verifiers, and what their logs say of them: no provider call, no secret. */
import { hasCode, KmsError } from "../errors.ts";
import { abandonOn } from "../runtime/deadline.ts";
import type { LogCompromise, LogHandover } from "../store/log-store.ts";
import type { Store } from "../store/store.ts";
import { type CacheOptions, type CacheStats, createCache } from "./cache.ts";
import type { Waiter } from "./waiter.ts";
import type { KeyRecord, KeyState } from "../store/key-record.ts";

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

/** The keys of a tenant, and what is written into its logs when one of them follows another or is marked as compromised. */
export interface PublicKeySet {
  /** By version, oldest first; empty for a tenant without signing keys. */
  readonly keys: readonly PublicKey[];
  readonly handovers: readonly LogHandover[];
  readonly compromises: readonly LogCompromise[];
}

export interface PublicKeys {
  all(tenantId: string, waiter?: Waiter): PublicKeySet | Promise<PublicKeySet>;
  /** Undefined for what is not the id of a signing key of this tenant. */
  find(tenantId: string, keyId: string, waiter?: Waiter): PublicKey | undefined | Promise<PublicKey | undefined>;
  /** A key changed. */
  invalidate(tenantId: string, keyId: string): void;
  /** There is a key that `all` may not know. */
  outdated(tenantId: string): void;
  dropExpired(): void;
  clear(): void;
  stats(): CacheStats;
}

/** A replica may sign with a key for 30 s after another retired it; the rest is for clocks that differ. */
const retirementGraceMs = 60_000;

/** All keys of a tenant, under its id; or one, under both ids. */
interface Found extends PublicKeySet {
  destroy(): void;
}

const none: PublicKeySet = { keys: [], handovers: [], compromises: [] };

export function publicKeysOf(store: Store, options: CacheOptions): PublicKeys {
  const cache = createCache<Found>(options);

  /** NOT_FOUND for a tenant without keys, so that the cache keeps nothing for names that someone made up. */
  async function readAll(tenantId: string): Promise<Found> {
    const records = await store.list(tenantId, "signing");
    if (records.length === 0) throw new KmsError("NOT_FOUND", `tenant ${tenantId} has no signing key`);
    const [handovers, compromises] = await Promise.all([store.logHandovers(tenantId), store.logCompromises(tenantId)]);
    return { ...found(records), handovers, compromises };
  }

  async function readOne(tenantId: string, keyId: string): Promise<Found> {
    const record = await store.get(tenantId, keyId);
    if (record?.purpose !== "signing" || record.state === "PENDING") {
      throw new KmsError("NOT_FOUND", `tenant ${tenantId} has no signing key ${keyId}`);
    }
    // What a cached list lacks is a key that another replica made a moment ago.
    const listed = cache.get(tenantId)?.keys;
    if (listed?.every((key) => key.keyId !== keyId)) cache.invalidate(tenantId);
    return found([record]);
  }

  async function load(name: string, read: () => Promise<Found>): Promise<PublicKeySet> {
    try {
      return await cache.load(name, read);
    } catch (error) {
      if (hasCode(error, "NOT_FOUND")) return none;
      throw error;
    }
  }

  return {
    all(tenantId, waiter) {
      return (
        cache.get(tenantId) ??
        abandonOn(
          waiter?.signal,
          load(tenantId, () => readAll(tenantId)),
        )
      );
    },

    find(tenantId, keyId, waiter) {
      const name = nameOf(tenantId, keyId);
      const cached = cache.get(name)?.keys[0];
      return (
        cached ??
        abandonOn(
          waiter?.signal,
          load(name, () => readOne(tenantId, keyId)).then(({ keys: [key] }) => key),
        )
      );
    },

    invalidate(tenantId, keyId) {
      cache.invalidate(tenantId);
      cache.invalidate(nameOf(tenantId, keyId));
    },

    outdated: cache.invalidate,
    dropExpired: cache.dropExpired,
    clear: cache.clear,
    stats: cache.stats,
  };
}

/** No tenant id has a slash. */
function nameOf(tenantId: string, keyId: string): string {
  return `${tenantId}/${keyId}`;
}

function found(records: readonly KeyRecord[]): Found {
  return { ...none, keys: records.map(publicPart), destroy() {} };
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
