/**
 * The usable keys of one purpose, in two lookups: which key (a record, believed for `stateTtlMs`, because another replica may
 * have changed it) and the key itself (unwrapped, one copy an id, kept for `ttlMs`). A first call makes the tenant's key.
 */
import { LRUCache } from "lru-cache";
import { ciphertextRejected, hasCode, KmsError } from "../errors.ts";
import type { Role } from "../call/roles.ts";
import { abandonOn } from "../runtime/deadline.ts";
import { type Cache, type CacheOptions, createCache } from "./cache.ts";
import { serviceName } from "../version.ts";
import type { KeyUser, Waiter } from "./waiter.ts";
import { type Creation, createKey, type Wish } from "./create.ts";
import { allowed } from "./states.ts";
import type { KeyRecord, KeyState, Purpose } from "../store/key-record.ts";
import { nameOf } from "../provider-keys/provider-keys.ts";
import { unwrap } from "./unwrap.ts";
import type { ImportKey, Usable } from "./usable-key.ts";

export interface PurposeKeys<P extends Purpose> {
  /** The tenant's ACTIVE key, made if the tenant never had one. A cached one is returned at once, without a promise. */
  active(tenantId: string, waiter?: Waiter, role?: Role): Usable[P] | Promise<Usable[P]>;
  /**
   * A key that may open. CIPHERTEXT_REJECTED for what is not a key of this tenant and purpose, KEY_UNUSABLE by state: a COMPROMISED one
   * opens for a caller with the role break-glass alone.
   */
  opening(tenantId: string, keyId: string, waiter?: Waiter): Usable[P] | Promise<Usable[P]>;
  /** Makes, proves and activates a key, which is in use here from then on. */
  renew(wish: Omit<Wish<P>, "purpose" | "importKey">, signal?: AbortSignal): Promise<KeyRecord>;
  /** Loads the tenant's ACTIVE key, where there is one, before anyone asks for it. */
  warm(tenantId: string): Promise<boolean>;
  /** Forgets every secret that this provider key (see `nameOf`) wrapped: it may not be used any more. */
  forgetWrappedBy(providerKey: string): void;
  /** Has every secret that this provider key wrapped unwrapped anew at its next use. */
  doubtWrappedBy(providerKey: string): void;
  /** Forgets a key altogether. */
  invalidate(tenantId: string, keyId: string): void;
  /** The key is in this state now. Its secret is forgotten too unless it still has a use. */
  noticed(tenantId: string, keyId: string, state: KeyState): void;
  /** Any record may have changed. Secrets are kept, because every use looks at a record first. */
  forgetRecords(): void;
  dropExpired(): void;
  clear(): void;
  readonly cache: Pick<Cache<Usable[P]>, "stats">;
}

export interface PurposeKeysOptions<P extends Purpose> extends Creation {
  purpose: P;
  importKey: ImportKey<P>;
  secretCache: CacheOptions;
  recordCache: CacheOptions;
  /** Whether a caller may bring another tenant. */
  admitTenant?: ((caller: string) => void) | undefined;
  /** The record of a key is new or another. */
  changed?: (tenantId: string, keyId: string) => void;
}

interface Known {
  record: KeyRecord;
  destroy(): void;
}

/** That a tenant has keys and none of them is ACTIVE, which is said again without another look. */
interface Refusal {
  until: number;
}

interface Found<K> {
  record: KeyRecord;
  load(): K | Promise<K>;
}

/** To find that no key is ACTIVE all of a tenant's are read, of which there may be thousands. */
const refusalMs = 1_000;

export function purposeKeys<P extends Purpose>(options: PurposeKeysOptions<P>): PurposeKeys<P> {
  const { store, providerKeys, purpose, importKey } = options;
  const actives = createCache<Known>(options.recordCache); // by tenant
  const refusals = new LRUCache<string, Refusal>({ max: options.recordCache.maxEntries }); // by tenant
  const records = createCache<Known>(options.recordCache); // by tenant and id: no tenant may meet another's lookup
  // By id, asked only for a record found in its tenant. What only break-glass opens has another name, so that no load meant for all gives it.
  const keys = createCache<Usable[P]>(options.secretCache);
  /** How often a provider key was refused. */
  let refusedTimes = 0;

  /**
   * As it was just read. A cached secret that another provider key opened is loaded anew at its next use: it must end with the provider key
   * that wraps it now.
   */
  function known(record: KeyRecord): Known {
    for (const name of [record.keyId, underGlass(record.keyId)]) {
      keys.doubtIf(name, ({ wrappedBy }) => wrappedBy !== nameOf(record));
    }
    return { record, destroy() {} };
  }

  async function read(tenantId: string, keyId: string): Promise<KeyRecord> {
    const record = await store.get(tenantId, keyId);
    if (record?.purpose !== purpose || record.state === "PENDING") throw ciphertextRejected();
    return record;
  }

  /** Reads the record anew: a reload an hour later must see what became of it. */
  async function readKey(tenantId: string, keyId: string, caller?: KeyUser): Promise<Usable[P]> {
    const record = await read(tenantId, keyId);
    refuseUnlessOpens(record, caller);
    const secret = await unwrap(providerKeys, record);
    try {
      return importKey(record, secret);
    } finally {
      secret.fill(0);
    }
  }

  async function findOrCreate(tenantId: string, user?: KeyUser, role?: Role): Promise<Known> {
    const now = options.time.monotonicMs;
    if (now() < (refusals.get(tenantId)?.until ?? 0)) throw noActive(tenantId, purpose);
    const refusal: Refusal = { until: 0 };
    refusals.set(tenantId, refusal); // before the look: what is forgotten meanwhile stays forgotten
    const present = await store.active(tenantId, purpose);
    if (present !== undefined) return known(present);
    // A list is a long read: a first key would wait for the pages of others.
    if ((await store.lastVersion(tenantId, purpose)) > 0) {
      const versions = await store.list(tenantId, purpose);
      const born = versions.find(({ state }) => state === "ACTIVE"); // by another replica, between the two looks
      if (born !== undefined) return known(born);
      refusal.until = now() + refusalMs;
      throw noActive(tenantId, purpose);
    }
    if (user !== undefined) await admit(user.name, tenantId);
    const rule = role && user?.rule?.(role, tenantId);
    const by = { actor: user?.name ?? serviceName, requestId: "", rule };
    try {
      return known(await create({ tenantId, expect: "no-version", by }));
    } catch (error) {
      const winner = hasCode(error, "CONFLICT") ? await store.active(tenantId, purpose) : undefined;
      if (winner === undefined) throw error;
      return known(winner);
    }
  }

  /** RATE_LIMITED for a caller that brings too many tenants. One that has a key for the other purpose is none that it brings. */
  async function admit(caller: string, tenantId: string): Promise<void> {
    if (options.admitTenant === undefined) return;
    const other = purpose === "data" ? "signing" : "data";
    if ((await store.lastVersion(tenantId, other)) === 0) options.admitTenant(caller);
  }

  async function create(wish: Omit<Wish<P>, "purpose" | "importKey">, signal?: AbortSignal) {
    const refusedBefore = refusedTimes;
    const { record, usable } = await createKey(options, { ...wish, purpose, importKey }, signal);
    if (refusedTimes === refusedBefore) keys.put(record.keyId, usable, () => readKey(record.tenantId, record.keyId));
    else usable.destroy(); // opened before the refusal, and stored after it
    options.changed?.(record.tenantId, record.keyId);
    return record;
  }

  async function loadActive(tenantId: string, user?: KeyUser, role?: Role): Promise<Known> {
    let isOwn = false;
    const find = () => {
      isOwn = true;
      return findOrCreate(tenantId, user, role);
    };
    try {
      return await actives.load(tenantId, find);
    } catch (error) {
      if (isOwn || !hasCode(error, "RATE_LIMITED")) throw error;
      return actives.load(tenantId, find); // it was another caller that has brought too many, and this one waited for its look
    }
  }

  async function findActive(tenantId: string, user?: KeyUser, role?: Role): Promise<Found<Usable[P]>> {
    const { record } = await loadActive(tenantId, user, role);
    const { keyId } = record;
    return {
      record,
      load: () => keys.load(keyId, () => readKey(tenantId, keyId).catch((error) => lost(keyId, error))),
    };
  }

  async function findOpening(tenantId: string, keyId: string, caller: KeyUser | undefined): Promise<Found<Usable[P]>> {
    const { record } = await records.load(recordKey(tenantId, keyId), async () => known(await read(tenantId, keyId)));
    refuseUnlessOpens(record, caller);
    const isForAll = allowed[record.state].open === true;
    const load = isForAll
      ? () => keys.load(keyId, () => readKey(tenantId, keyId))
      : () => keys.load(underGlass(keyId), () => readKey(tenantId, keyId, caller));
    return { record, load };
  }

  /** What is found is believed for a while, and loading reads the record anew: what only that refuses is settled by finding it again. */
  async function retrieve(find: () => Promise<Found<Usable[P]>>): Promise<Usable[P]> {
    const { record, load } = await find();
    try {
      return await load();
    } catch (error) {
      if (!hasCode(error, "KEY_UNUSABLE")) throw error;
      forgetRecord(record.tenantId, record.keyId);
      return (await find()).load();
    }
  }

  /** A tenant's ACTIVE key cannot be one that is unknown. */
  function lost(keyId: string, cause: unknown): never {
    if (!hasCode(cause, "CIPHERTEXT_REJECTED")) throw cause;
    throw new KmsError("DATA_LOSS", `the record of key ${keyId} is gone from the store: restore it`, { cause });
  }

  function forgetActive(tenantId: string): void {
    actives.invalidate(tenantId);
    refusals.delete(tenantId);
  }

  function forgetRecord(tenantId: string, keyId: string): void {
    forgetActive(tenantId);
    records.invalidate(recordKey(tenantId, keyId));
  }

  function forgetSecret(keyId: string): void {
    keys.invalidate(keyId);
    keys.invalidate(underGlass(keyId));
  }

  function noticed(tenantId: string, keyId: string, state: KeyState): void {
    forgetRecord(tenantId, keyId);
    // A retired data key still opens; a retired signing key has no more use.
    const { protect, open } = allowed[state];
    const hasUse = protect || (purpose === "data" && open === true);
    if (!hasUse) forgetSecret(keyId);
  }

  return {
    active(tenantId, waiter, role) {
      const found = actives.get(tenantId);
      const key = found && keys.get(found.record.keyId);
      return (
        key ??
        abandonOn(
          waiter?.signal,
          retrieve(() => findActive(tenantId, waiter?.caller, role)),
        )
      );
    },

    opening(tenantId, keyId, waiter) {
      const found = records.get(recordKey(tenantId, keyId));
      const key = found && allowed[found.record.state].open === true ? keys.get(keyId) : undefined;
      return (
        key ??
        abandonOn(
          waiter?.signal,
          retrieve(() => findOpening(tenantId, keyId, waiter?.caller)),
        )
      );
    },

    async renew(wish, signal) {
      const { tenantId, expect, outgoing = "RETIRED" } = wish;
      const replaced = typeof expect === "object" ? expect.active : undefined;
      let record: KeyRecord;
      try {
        record = await create(wish, signal);
      } catch (error) {
        forgetActive(tenantId); // lost or unclear: the ACTIVE key may be another than the one known here
        throw error;
      } finally {
        if (replaced !== undefined) options.changed?.(tenantId, replaced);
      }
      if (replaced !== undefined) noticed(tenantId, replaced, outgoing);
      refusals.delete(tenantId);
      actives.put(tenantId, known(record), () => findOrCreate(tenantId));
      return record;
    },

    async warm(tenantId) {
      const record = await store.active(tenantId, purpose);
      if (record === undefined) return false;
      actives.put(tenantId, known(record), () => findOrCreate(tenantId));
      await keys.load(record.keyId, () => readKey(tenantId, record.keyId));
      return true;
    },

    forgetWrappedBy(providerKey) {
      refusedTimes += 1;
      keys.evictWhere(({ wrappedBy }) => wrappedBy === providerKey);
    },

    doubtWrappedBy: (providerKey) => keys.doubtWhere(({ wrappedBy }) => wrappedBy === providerKey),

    invalidate(tenantId, keyId) {
      forgetRecord(tenantId, keyId);
      forgetSecret(keyId);
    },

    noticed,

    forgetRecords() {
      for (const cache of [actives, refusals, records]) cache.clear();
    },

    dropExpired() {
      for (const cache of [actives, records, keys]) cache.dropExpired();
    },

    clear() {
      for (const cache of [actives, refusals, records, keys]) cache.clear();
    },

    cache: keys,
  };
}

function noActive(tenantId: string, purpose: Purpose): KmsError {
  return new KmsError("KEY_UNUSABLE", `tenant ${tenantId} has no active ${purpose} key: enable one or rotate`);
}

function recordKey(tenantId: string, keyId: string): string {
  return `${tenantId}/${keyId}`;
}

/** Of the secret of a key that is COMPROMISED. */
function underGlass(keyId: string): string {
  return `break-glass/${keyId}`;
}

function refuseUnlessOpens({ tenantId, keyId, state }: KeyRecord, caller: KeyUser | undefined): void {
  const { open } = allowed[state];
  if (open === true || (open === "break-glass" && caller?.has(open, tenantId))) return;
  const remedy = open === "break-glass" ? ": what it encrypted opens for the role break-glass alone" : "";
  throw new KmsError("KEY_UNUSABLE", `key ${keyId} is ${state}${remedy}`);
}
