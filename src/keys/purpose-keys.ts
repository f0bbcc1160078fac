/**
 * The usable keys of one purpose: a table with a state and a secret for each key. The state is its record, believed for `stateTtlMs`, because
 * another replica may have changed it. The secret is the key unwrapped, one copy an id, kept for `ttlMs`. Every use looks at a state first.
 * A first call makes the tenant's key.
 */
import { ciphertextRejected, hasCode, KmsError } from "../errors.ts";
import type { Role } from "../call/roles.ts";
import { abandonOn } from "../runtime/deadline.ts";
import { type CacheOptions, type CacheStats, createCache } from "./cache.ts";
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
  /** Of the secrets. */
  stats(): CacheStats;
}

export interface PurposeKeysOptions<P extends Purpose> extends Creation {
  purpose: P;
  importKey: ImportKey<P>;
  secretCache: CacheOptions;
  stateTtlMs: number;
  /** Whether a caller may bring another tenant. */
  admitTenant?: ((caller: string) => void) | undefined;
  /** The record of a key is new or another. */
  changed?: (tenantId: string, keyId: string) => void;
}

interface State {
  record: KeyRecord;
  destroy(): void;
}

/** One closure, because whatever changes a key has to change its state and its secret together. */
export function purposeKeys<P extends Purpose>(options: PurposeKeysOptions<P>): PurposeKeys<P> {
  const { store, providerKeys, purpose, importKey, secretCache } = options;
  // By tenant and id: no tenant may meet another's. The state of a tenant's ACTIVE key also stands under the tenant alone. That none is
  // ACTIVE is repeated for a second: to find it all keys of the tenant are read, of which there may be thousands.
  const states = createCache<State>({
    ...secretCache,
    ttlMs: options.stateTtlMs,
    maxStaleMs: 0,
    maxEntries: 2 * secretCache.maxEntries,
    repeats: ["KEY_UNUSABLE"],
  });
  // By id, asked only for a state found in its tenant. What only break-glass opens has another name, so that no load meant for all gives it.
  const secrets = createCache<Usable[P]>(secretCache);
  /** How often a provider key was refused. */
  let refusedTimes = 0;

  /**
   * As it was just read. A cached secret that another provider key opened is loaded anew at its next use: it must end with the provider key
   * that wraps it now.
   */
  function stateOf(record: KeyRecord): State {
    for (const name of [record.keyId, underGlass(record.keyId)]) {
      secrets.doubtIf(name, ({ wrappedBy }) => wrappedBy !== nameOf(record));
    }
    return { record, destroy() {} };
  }

  async function read(tenantId: string, keyId: string): Promise<KeyRecord> {
    const record = await store.get(tenantId, keyId);
    if (record?.purpose !== purpose || record.state === "PENDING") throw ciphertextRejected();
    return record;
  }

  /** Reads the record anew: a reload an hour later must see what became of it. */
  async function readSecret(tenantId: string, keyId: string, caller?: KeyUser): Promise<Usable[P]> {
    const record = await read(tenantId, keyId);
    refuseUnlessOpens(record, caller);
    const secret = await unwrap(providerKeys, record);
    try {
      return importKey(record, secret);
    } finally {
      secret.fill(0);
    }
  }

  async function create(wish: Omit<Wish<P>, "purpose" | "importKey">, signal?: AbortSignal): Promise<KeyRecord> {
    const refusedBefore = refusedTimes;
    const { record, usable } = await createKey(options, { ...wish, purpose, importKey }, signal);
    const { tenantId, keyId } = record;
    if (refusedTimes === refusedBefore) secrets.put(keyId, usable, () => readSecret(tenantId, keyId));
    else usable.destroy(); // opened before the refusal, and stored after it
    options.changed?.(tenantId, keyId);
    return record;
  }

  async function findOrCreate(tenantId: string, user?: KeyUser, role?: Role): Promise<State> {
    const present = await storedActive(store, tenantId, purpose);
    if (present !== undefined) return stateOf(present);
    if (user !== undefined) await admit(user.name, tenantId);
    const rule = role && user?.rule?.(role, tenantId);
    const by = { actor: user?.name ?? serviceName, requestId: "", rule };
    try {
      return stateOf(await create({ tenantId, expect: "no-version", by }));
    } catch (error) {
      const winner = hasCode(error, "CONFLICT") ? await store.active(tenantId, purpose) : undefined;
      if (winner === undefined) throw error;
      return stateOf(winner);
    }
  }

  /** RATE_LIMITED for a caller that brings too many tenants. One that has a key for the other purpose is none that it brings. */
  async function admit(caller: string, tenantId: string): Promise<void> {
    if (options.admitTenant === undefined) return;
    const other = purpose === "data" ? "signing" : "data";
    if ((await store.lastVersion(tenantId, other)) === 0) options.admitTenant(caller);
  }

  async function activeState(tenantId: string, user?: KeyUser, role?: Role): Promise<State> {
    let isOwn = false;
    const find = () => {
      isOwn = true;
      return findOrCreate(tenantId, user, role);
    };
    try {
      return await states.load(tenantId, find);
    } catch (error) {
      if (isOwn || !hasCode(error, "RATE_LIMITED")) throw error;
      return states.load(tenantId, find); // it was another caller that has brought too many, and this one waited for its look
    }
  }

  /** A state is believed for a while, and loading a secret reads it anew: what only that refuses is settled by another look at the state. */
  async function retrieve(
    find: () => Promise<State>,
    load: (record: KeyRecord) => Usable[P] | Promise<Usable[P]>,
  ): Promise<Usable[P]> {
    const { record } = await find();
    try {
      return await load(record);
    } catch (error) {
      if (!hasCode(error, "KEY_UNUSABLE")) throw error;
      forgetState(record.tenantId, record.keyId);
      return load((await find()).record);
    }
  }

  function retrieveActive(tenantId: string, waiter: Waiter | undefined, role: Role | undefined) {
    return retrieve(
      () => activeState(tenantId, waiter?.caller, role),
      ({ keyId }) => secrets.load(keyId, () => readSecret(tenantId, keyId).catch((error) => lost(keyId, error))),
    );
  }

  function retrieveOpening(tenantId: string, keyId: string, caller: KeyUser | undefined) {
    const find = async () => {
      const state = await states.load(stateName(tenantId, keyId), async () => stateOf(await read(tenantId, keyId)));
      refuseUnlessOpens(state.record, caller);
      return state;
    };
    return retrieve(find, ({ state }) =>
      allowed[state].open === true
        ? secrets.load(keyId, () => readSecret(tenantId, keyId))
        : secrets.load(underGlass(keyId), () => readSecret(tenantId, keyId, caller)),
    );
  }

  function putActive(record: KeyRecord): void {
    states.put(record.tenantId, stateOf(record), () => findOrCreate(record.tenantId));
  }

  function forgetState(tenantId: string, keyId: string): void {
    states.invalidate(tenantId);
    states.invalidate(stateName(tenantId, keyId));
  }

  function forgetSecret(keyId: string): void {
    secrets.invalidate(keyId);
    secrets.invalidate(underGlass(keyId));
  }

  function noticed(tenantId: string, keyId: string, state: KeyState): void {
    forgetState(tenantId, keyId);
    // A retired data key still opens; a retired signing key has no more use.
    const { protect, open } = allowed[state];
    const hasUse = protect || (purpose === "data" && open === true);
    if (!hasUse) forgetSecret(keyId);
  }

  return {
    active(tenantId, waiter, role) {
      const found = states.get(tenantId);
      const key = found && secrets.get(found.record.keyId);
      return key ?? abandonOn(waiter?.signal, retrieveActive(tenantId, waiter, role));
    },

    opening(tenantId, keyId, waiter) {
      const found = states.get(stateName(tenantId, keyId));
      const key = found && allowed[found.record.state].open === true ? secrets.get(keyId) : undefined;
      return key ?? abandonOn(waiter?.signal, retrieveOpening(tenantId, keyId, waiter?.caller));
    },

    async renew(wish, signal) {
      const { tenantId, expect, outgoing = "RETIRED" } = wish;
      const replaced = typeof expect === "object" ? expect.active : undefined;
      let record: KeyRecord;
      try {
        record = await create(wish, signal);
      } catch (error) {
        states.invalidate(tenantId); // lost or unclear: the ACTIVE key may be another than the one known here
        throw error;
      } finally {
        if (replaced !== undefined) options.changed?.(tenantId, replaced);
      }
      if (replaced !== undefined) noticed(tenantId, replaced, outgoing);
      putActive(record);
      return record;
    },

    async warm(tenantId) {
      const record = await store.active(tenantId, purpose);
      if (record === undefined) return false;
      putActive(record);
      await secrets.load(record.keyId, () => readSecret(tenantId, record.keyId));
      return true;
    },

    forgetWrappedBy(providerKey) {
      refusedTimes += 1;
      secrets.evictWhere(({ wrappedBy }) => wrappedBy === providerKey);
    },

    doubtWrappedBy: (providerKey) => secrets.doubtWhere(({ wrappedBy }) => wrappedBy === providerKey),

    invalidate(tenantId, keyId) {
      forgetState(tenantId, keyId);
      forgetSecret(keyId);
    },

    noticed,
    forgetRecords: states.clear,

    dropExpired() {
      states.dropExpired();
      secrets.dropExpired();
    },

    clear() {
      states.clear();
      secrets.clear();
    },

    stats: secrets.stats,
  };
}

/** The tenant's ACTIVE key; undefined if it never had one. KEY_UNUSABLE if it has keys and none is ACTIVE. */
async function storedActive(
  store: Pick<Creation["store"], "active" | "lastVersion" | "list">,
  tenantId: string,
  purpose: Purpose,
): Promise<KeyRecord | undefined> {
  const present = await store.active(tenantId, purpose);
  // A list is a long read: a first key would wait for the pages of others.
  if (present !== undefined || (await store.lastVersion(tenantId, purpose)) === 0) return present;
  const versions = await store.list(tenantId, purpose);
  const born = versions.find(({ state }) => state === "ACTIVE"); // by another replica, between the two looks
  if (born !== undefined) return born;
  throw new KmsError("KEY_UNUSABLE", `tenant ${tenantId} has no active ${purpose} key: enable one or rotate`);
}

/** A tenant's ACTIVE key cannot be one that is unknown. */
function lost(keyId: string, cause: unknown): never {
  if (!hasCode(cause, "CIPHERTEXT_REJECTED")) throw cause;
  throw new KmsError("DATA_LOSS", `the record of key ${keyId} is gone from the store: restore it`, { cause });
}

/** No tenant id has a slash. */
function stateName(tenantId: string, keyId: string): string {
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
