/**
 * The store key and the tenants' keys from under another provider key to under the current one, or the tenant's own, while they are in
 * use: the secret stays, its wrapped form is another. A key is opened by the provider key that wrapped it, wrapped by the one that should
 * have, opened again and compared, and only then replaced, where it is still what was read. Three provider calls a key.
 *
 * What is left to do is what the records say: whoever goes on after a crash, or does the same on another replica, needs to know nothing
 * more. A key that fails does not stop the others; a provider that does not answer ends the page, unless it is one of tenants alone.
 */
import { timingSafeEqual } from "node:crypto";
import { hasCode, KmsError, type KmsErrorCode } from "../errors.ts";
import type { Provider } from "../provider/provider.ts";
import { refuseAborted } from "../runtime/deadline.ts";
import { step } from "../failpoints.ts";
import type { Attribution } from "../store/audit-store.ts";
import type { Store } from "../store/store.ts";
import type { WrappedBy, WrappedCount, WrappedName, WrappedCursor } from "../store/key-store.ts";
import type { Sample } from "../provider-keys/lie-probe.ts";
import { hasWrapped, nameOf, type ProviderKeys, wrappedBy } from "../provider-keys/provider-keys.ts";
import type { Keyring } from "./keyring.ts";
import { eachOf } from "./pace.ts";
import type { KeyRecord } from "../store/key-record.ts";
import { recordContext } from "./states.ts";
import { rewrapStoreKey, storeKeyContext } from "./store-key/unlock.ts";
import { unwrap } from "./unwrap.ts";
import type { Time } from "../runtime/time.ts";

export interface Rewrap {
  /** Re-wraps the store key, where it needs it, and a page of keys. */
  rewrap(request: RewrapRequest, signal?: AbortSignal): Promise<RewrapResult>;
}

export interface RewrapRequest {
  by: Attribution;
  limit: number;
  after?: WrappedCursor | undefined;
  /** Only says what would be done, as far as that is known without a provider call. */
  dryRun: boolean;
}

export interface RewrapResult {
  /** The current provider key: that of all but tenants that have one of their own. */
  target: WrappedBy;
  storeKey: boolean;
  keys: number;
  failed: FailedRewrap[];
  /** Why the page ended early. */
  interrupted: KmsError | undefined;
  /** What is under others than it should be now, the store key left out. */
  others: WrappedCount[];
  /** The same, counted, and the store key with it. */
  remaining: number;
  /** Where the next page begins; undefined behind the last. */
  next: WrappedCursor | undefined;
}

export interface FailedRewrap {
  /** Undefined for the store key. */
  key: WrappedName | undefined;
  error: KmsError;
}

export interface RewrapOptions {
  store: Store;
  /** The current one is the target, or the tenant's own. */
  providerKeys: ProviderKeys;
  keyring: Pick<Keyring, "noticed">;
  time: Time;
}

/** Leaves room for callers among the calls that a provider takes at once. */
const atOnce = 8;
/** How often a key is tried that others change at the same time. */
const attempts = 3;

type Outcome = "rewrapped" | "not needed" | "not begun" | KmsError;

export function createRewrap({ store, providerKeys, keyring, time }: RewrapOptions): Rewrap {
  const { current, shared } = providerKeys;

  async function rewrapKey({ tenantId, keyId }: WrappedName, by: Attribution, signal?: AbortSignal): Promise<Outcome> {
    for (let attempt = 1; ; attempt += 1) {
      const present = await store.get(tenantId, keyId);
      const target = providerKeys.ofTenant(tenantId);
      if (present === undefined || isSettled(present, target)) return "not needed";
      const wrapped = await wrapAnew({ providerKeys, target, record: present }, signal);
      step("rewrap.proven");
      try {
        await store.update(
          present,
          { ...present, ...wrappedBy(target), wrapped },
          { ...by, action: "rewrap", at: time.now() },
        );
        step("rewrap.stored");
        return "rewrapped";
      } catch (error) {
        if (!hasCode(error, "CONFLICT") || attempt === attempts) throw error;
      } finally {
        keyring.noticed(tenantId, keyId, present.state); // the record is another, or may be
      }
    }
  }

  async function rewrapPage(names: readonly WrappedName[], { by, dryRun }: RewrapRequest, signal?: AbortSignal) {
    let interrupted: KmsError | undefined;
    const outcomes = await eachOf(names, atOnce, async (name): Promise<Outcome> => {
      if (interrupted !== undefined) return "not begun";
      refuseAborted(signal);
      try {
        if (!dryRun) return await rewrapKey(name, by, signal);
        providerKeys.of(name, `key ${name.keyId}`);
        providerKeys.ofTenant(name.tenantId);
        return "rewrapped";
      } catch (error) {
        if (!isInterruption(error) || concernsTenantKey(name)) return failureOf(error);
        interrupted ??= error;
        return "not begun";
      }
    });
    return { outcomes, interrupted };
  }

  /** What is wrong with it is no reason to leave the keys of other tenants where they are. */
  function concernsTenantKey(name: WrappedName): boolean {
    if (!shared.some((provider) => hasWrapped(provider, name))) return true;
    try {
      return !shared.includes(providerKeys.ofTenant(name.tenantId));
    } catch {
      return true;
    }
  }

  async function rewrapStore({ by, dryRun }: RewrapRequest): Promise<Outcome> {
    try {
      if (!dryRun)
        return (await rewrapStoreKey(store, providerKeys, { ...by, at: time.now() })) ? "rewrapped" : "not needed";
      const present = await store.storeKey();
      return providerKeys.ofStore(present) === current ? "not needed" : "rewrapped";
    } catch (error) {
      return failureOf(error);
    }
  }

  return {
    async rewrap(request, signal) {
      const { limit, after, dryRun } = request;
      const ofStore = await rewrapStore(request);
      const cutOff = isInterruption(ofStore) ? ofStore : undefined;
      const names = await store.wrappedByOthers(providerKeys.wrapping(), { limit: limit + 1, after });
      const page = cutOff === undefined ? names.slice(0, limit) : [];
      const { outcomes, interrupted = cutOff } = await rewrapPage(page, request, signal);
      const others = await store.countWrappedByOthers(providerKeys.wrapping());
      const isStoreLeft = ofStore instanceof KmsError || (dryRun && ofStore === "rewrapped");
      return {
        target: wrappedBy(current),
        storeKey: ofStore === "rewrapped",
        keys: outcomes.filter((outcome) => outcome === "rewrapped").length,
        failed: [
          ...(ofStore instanceof KmsError && ofStore !== cutOff ? [{ key: undefined, error: ofStore }] : []),
          ...outcomes.flatMap((error, index) => (error instanceof KmsError ? [{ key: page[index]!, error }] : [])),
        ],
        interrupted,
        others,
        remaining: others.reduce((sum, { keys }) => sum + keys, isStoreLeft ? 1 : 0),
        next: interrupted === undefined && names.length <= limit ? undefined : placeAfter(page, outcomes, after),
      };
    },
  };
}

/**
 * Finds what a provider key wrapped that wraps nothing more, for a probe of it: one of the keys that should be under another, else the store
 * key.
 */
export function samplesIn(
  store: Pick<Store, "wrappedByOthers" | "get" | "storeKey">,
  { wrapping }: Pick<ProviderKeys, "wrapping">,
) {
  return async (key: Pick<Provider, "name" | "keyId">): Promise<Sample | undefined> => {
    const wanted = wrappedBy(key);
    const [name] = await store.wrappedByOthers(wrapping(), { limit: 1, after: { ...wanted, keyId: "" } });
    const record = name && nameOf(name) === nameOf(wanted) ? await store.get(name.tenantId, name.keyId) : undefined;
    if (record !== undefined && nameOf(record) === nameOf(wanted)) {
      return { wrapped: record.wrapped, context: recordContext(record) };
    }
    const storeKey = await store.storeKey();
    if (nameOf(storeKey) !== nameOf(wanted)) return undefined;
    return { wrapped: storeKey.wrapped, context: storeKeyContext(storeKey.storeId) };
  };
}

/** PENDING keys are proven, and perhaps dropped, by those who make them. */
function isSettled(record: KeyRecord, target: Provider): boolean {
  return record.state === "PENDING" || record.state === "DESTROYED" || hasWrapped(target, record);
}

interface Move {
  providerKeys: ProviderKeys;
  target: Provider;
  record: KeyRecord;
}

async function wrapAnew({ providerKeys, target, record }: Move, signal?: AbortSignal): Promise<Uint8Array> {
  const secret = await unwrap(providerKeys, record, signal);
  try {
    return await wrapProven({ provider: target, secret, record }, signal);
  } finally {
    secret.fill(0);
  }
}

interface Wish {
  provider: Provider;
  secret: Uint8Array;
  record: KeyRecord;
}

async function wrapProven({ provider, secret, record }: Wish, signal?: AbortSignal): Promise<Uint8Array> {
  const context = recordContext(record);
  const wrapped = await provider.encrypt(secret, context, signal);
  const opened = await provider.decrypt(wrapped, context, signal).catch((error) => {
    if (hasCode(error, "CIPHERTEXT_REJECTED")) return new Uint8Array();
    throw error;
  });
  try {
    if (opened.length === secret.length && timingSafeEqual(opened, secret)) return wrapped;
  } finally {
    opened.fill(0);
  }
  throw new KmsError("PROVIDER_UNAVAILABLE", `the provider did not give back key ${record.keyId} as it wrapped it`);
}

/** Behind the last key of which is known what became of it. */
function placeAfter(page: readonly WrappedName[], outcomes: readonly Outcome[], before: WrappedCursor = atFirst) {
  const first = outcomes.indexOf("not begun");
  const last = page[(first === -1 ? page.length : first) - 1];
  if (last === undefined) return before;
  const { provider, providerKeyId, keyId } = last;
  return { provider, providerKeyId, keyId };
}

/** In front of every key. */
const atFirst: WrappedCursor = { provider: "", providerKeyId: "", keyId: "" };

/** Nothing more can be done, for any key: the caller left, the store is gone, or the fault is ours. */
const endings: readonly KmsErrorCode[] = ["CANCELLED", "DEADLINE_EXCEEDED", "STORE_UNAVAILABLE", "INTERNAL"];

function failureOf(error: unknown): KmsError {
  if (error instanceof KmsError && !endings.includes(error.code)) return error;
  throw error;
}

function isInterruption(outcome: unknown): outcome is KmsError {
  return hasCode(outcome, "PROVIDER_UNAVAILABLE");
}
