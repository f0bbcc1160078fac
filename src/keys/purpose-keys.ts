/**
 * The usable keys of one purpose, in two lookups: which key (a record, believed for `stateTtlMs`, because another replica may
 * have changed it) and the key itself (unwrapped, one copy an id, kept for `ttlMs`). A first call makes the tenant's key.
 */
import { ciphertextRejected, KmsError } from "../errors.ts";
import { type Cache, type CacheOptions, createCache } from "./cache.ts";
import { serviceName, unlessCancelled, type Waiter } from "./cancel.ts";
import { type Creation, createKey, type Wish } from "./create.ts";
import { allowed, type KeyRecord, type Purpose } from "./record.ts";
import { unwrap } from "./unwrap.ts";
import type { ImportKey, Usable } from "./usable.ts";

export interface PurposeKeys<P extends Purpose> {
  /** The tenant's ACTIVE key, made if the tenant never had one. A cached one is returned at once, without a promise. */
  active(tenantId: string, waiter?: Waiter): Usable[P] | Promise<Usable[P]>;
  /** A key that may open. CIPHERTEXT_REJECTED for what is not a key of this tenant and purpose, KEY_UNUSABLE by state. */
  opening(tenantId: string, keyId: string, waiter?: Waiter): Usable[P] | Promise<Usable[P]>;
  /** Makes, proves and activates a key, which is in use here from then on. */
  renew(wish: Omit<Wish<P>, "purpose" | "importKey">, signal?: AbortSignal): Promise<KeyRecord>;
  /** After a change of the key's state. */
  invalidate(tenantId: string, keyId: string): void;
  dropExpired(): void;
  clear(): void;
  readonly cache: Pick<Cache<Usable[P]>, "stats">;
}

export interface PurposeKeysOptions<P extends Purpose> extends Creation {
  purpose: P;
  importKey: ImportKey<P>;
  secretCache: CacheOptions;
  recordCache: CacheOptions;
  /** The tenant has a new key. */
  renewed?: (record: KeyRecord) => void;
}

interface Known {
  record: KeyRecord;
  destroy(): void;
}

export function purposeKeys<P extends Purpose>(options: PurposeKeysOptions<P>): PurposeKeys<P> {
  const { store, provider, purpose, importKey } = options;
  const actives = createCache<Known>(options.recordCache); // by tenant
  const records = createCache<Known>(options.recordCache); // by tenant and id: no tenant may meet another's lookup
  const keys = createCache<Usable[P]>(options.secretCache); // by id, asked only for a record found in its tenant

  async function read(tenantId: string, keyId: string): Promise<KeyRecord> {
    const record = await store.get(tenantId, keyId);
    if (record?.purpose !== purpose || record.state === "PENDING") throw ciphertextRejected();
    return record;
  }

  /** Reads the record anew: a reload an hour later must see what became of it. */
  async function readKey(tenantId: string, keyId: string): Promise<Usable[P]> {
    const record = await read(tenantId, keyId);
    refuseUnlessOpens(record);
    const secret = await unwrap(provider, record);
    try {
      return importKey(record, secret);
    } finally {
      secret.fill(0);
    }
  }

  async function findOrCreate(tenantId: string, actor = serviceName): Promise<Known> {
    const present = await store.active(tenantId, purpose);
    if (present !== undefined) return known(present);
    if ((await store.list(tenantId, purpose)).length > 0) {
      throw new KmsError("KEY_UNUSABLE", `tenant ${tenantId} has no active ${purpose} key: enable one or rotate`);
    }
    try {
      return known(await create({ tenantId, expect: "no-version", by: { actor, requestId: "" } }));
    } catch (error) {
      const winner = isConflict(error) ? await store.active(tenantId, purpose) : undefined;
      if (winner === undefined) throw error;
      return known(winner);
    }
  }

  async function create(wish: Omit<Wish<P>, "purpose" | "importKey">, signal?: AbortSignal) {
    const { record, usable } = await createKey(options, { ...wish, purpose, importKey }, signal);
    keys.put(record.keyId, usable, () => readKey(record.tenantId, record.keyId));
    options.renewed?.(record);
    return record;
  }

  async function retrieveActive(tenantId: string, actor?: string): Promise<Usable[P]> {
    const { record } = await actives.load(tenantId, () => findOrCreate(tenantId, actor));
    return keys.load(record.keyId, () => readKey(tenantId, record.keyId));
  }

  async function retrieveOpening(tenantId: string, keyId: string): Promise<Usable[P]> {
    const { record } = await records.load(recordKey(tenantId, keyId), async () => known(await read(tenantId, keyId)));
    refuseUnlessOpens(record);
    return keys.load(keyId, () => readKey(tenantId, keyId));
  }

  return {
    active(tenantId, waiter) {
      const found = actives.get(tenantId);
      const key = found && keys.get(found.record.keyId);
      return key ?? unlessCancelled(retrieveActive(tenantId, waiter?.caller?.name), waiter);
    },

    opening(tenantId, keyId, waiter) {
      const found = records.get(recordKey(tenantId, keyId));
      const key = found && allowed[found.record.state].open ? keys.get(keyId) : undefined;
      return key ?? unlessCancelled(retrieveOpening(tenantId, keyId), waiter);
    },

    async renew(wish, signal) {
      // Lost or unclear, the ACTIVE key may be another than the one known here.
      const record = await create(wish, signal).catch((error) => {
        actives.invalidate(wish.tenantId);
        throw error;
      });
      actives.put(record.tenantId, known(record), () => findOrCreate(record.tenantId));
      if (typeof wish.expect === "object") {
        records.invalidate(recordKey(record.tenantId, wish.expect.active));
        // A retired data key still opens; a retired signing key has no more use.
        if (purpose === "signing") keys.invalidate(wish.expect.active);
      }
      return record;
    },

    invalidate(tenantId, keyId) {
      actives.invalidate(tenantId);
      records.invalidate(recordKey(tenantId, keyId));
      keys.invalidate(keyId);
    },

    dropExpired() {
      for (const cache of [actives, records, keys]) cache.dropExpired();
    },

    clear() {
      for (const cache of [actives, records, keys]) cache.clear();
    },

    cache: keys,
  };
}

function known(record: KeyRecord): Known {
  return { record, destroy() {} };
}

function recordKey(tenantId: string, keyId: string): string {
  return `${tenantId}/${keyId}`;
}

function refuseUnlessOpens({ keyId, state }: KeyRecord): void {
  if (!allowed[state].open) throw new KmsError("KEY_UNUSABLE", `key ${keyId} is ${state}`);
}

function isConflict(error: unknown): boolean {
  return error instanceof KmsError && error.code === "CONFLICT";
}
