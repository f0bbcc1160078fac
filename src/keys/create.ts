/**
 * A new key, durable and proven before anyone uses it: insert PENDING, read back, unwrap what was read, compare, activate.
 * Two provider calls. A failure anywhere leaves no ACTIVE key that was not proven, and at worst a PENDING row.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { hasCode, KmsError } from "../errors.ts";
import type { Provider } from "../provider/provider.ts";
import { step } from "../failpoints.ts";
import type { Activation } from "../store/key-store.ts";
import type { Store } from "../store/store.ts";
import type { ProviderKeys } from "../provider-keys/provider-keys.ts";
import { publicPartOf, refuseOtherSecret } from "./key-check.ts";
import type { KeyRecord, Purpose } from "../store/key-record.ts";
import { recordContext } from "./states.ts";
import { secretBytes, unwrapUnchecked } from "./unwrap.ts";
import type { ImportKey, Usable } from "./usable-key.ts";
import type { Time } from "../runtime/time.ts";

export interface Creation {
  store: Store;
  /** The tenant's own, or the current one, wraps the new key. */
  providerKeys: ProviderKeys;
  /** Wall clock, for the record's dates. */
  time: Time;
  newKeyId: () => string;
}

/** What a new key is for, who wants it, and what must still hold when it is activated. */
export type Wish<P extends Purpose> = Omit<Activation, "purpose" | "keyId" | "at" | "handover"> & {
  purpose: P;
  importKey: ImportKey<P>;
  /** Calls `activate` with the key's handover in the tenant's log, again if that moved on meanwhile. Without it the key has none. */
  handOver?: ((successor: Usable[P], activate: Activate) => Promise<KeyRecord>) | undefined;
};

/** Activates a key that is made. CONFLICT changes nothing. */
export type Activate = (handover?: Activation["handover"]) => Promise<KeyRecord>;

export interface CreatedKey<P extends Purpose> {
  record: KeyRecord;
  /** The key as the stored record gave it back. The caller owns it. */
  usable: Usable[P];
}

/** Throws CONFLICT when `expect` no longer holds, and then nothing of the new key is left. */
export async function createKey<P extends Purpose>(
  { store, providerKeys, time, newKeyId }: Creation,
  { importKey, handOver, ...wish }: Wish<P>,
  signal?: AbortSignal,
): Promise<CreatedKey<P>> {
  const { tenantId, purpose } = wish;
  const identity = { tenantId, purpose, keyId: newKeyId() };
  const provider = providerKeys.ofTenant(tenantId);
  const fresh = await freshSecret(provider, identity, signal);
  step("key.made");
  let usable: Usable[P] | undefined;
  try {
    await store.insertPending(pendingRecord(identity, provider, fresh, time.now()));
    step("key.inserted");
    const stored = await store.get(tenantId, identity.keyId);
    if (stored === undefined)
      throw new KmsError("STORE_UNAVAILABLE", `key ${identity.keyId} was stored and is not there`);
    usable = await proveKey({ providerKeys, stored, fresh, importKey }, signal);
    step("key.proven");
    const { keyId } = identity;
    const activate: Activate = (handover) => store.activate({ ...wish, keyId, at: time.now(), handover });
    const record = await (handOver ? handOver(usable, activate) : activate());
    step("key.activated");
    return { record, usable };
  } catch (error) {
    usable?.destroy();
    // Best effort, and no effect where the activation was stored and only its answer was lost.
    await store.deletePending(tenantId, identity.keyId).catch(() => {});
    throw error;
  } finally {
    fresh.secret.fill(0);
  }
}

interface FreshSecret {
  secret: Uint8Array;
  wrapped: Uint8Array;
  publicKey: Uint8Array;
}

type Identity = Pick<KeyRecord, "tenantId" | "purpose" | "keyId">;

/** A data key is the provider's randomness; a signing seed is ours, because no provider makes Ed25519 seeds. */
async function freshSecret(provider: Provider, identity: Identity, signal?: AbortSignal): Promise<FreshSecret> {
  const context = recordContext(identity);
  if (identity.purpose === "data") {
    const { plaintext, wrapped } = await provider.generateDataKey(context, signal);
    return { secret: plaintext, wrapped, publicKey: publicPartOf("data", plaintext) };
  }
  const secret = randomBytes(secretBytes);
  try {
    return {
      secret,
      wrapped: await provider.encrypt(secret, context, signal),
      publicKey: publicPartOf("signing", secret),
    };
  } catch (error) {
    secret.fill(0);
    throw error;
  }
}

function pendingRecord(identity: Identity, provider: Provider, fresh: FreshSecret, createdAt: Date): KeyRecord {
  return {
    ...identity,
    version: 0,
    state: "PENDING",
    provider: provider.name,
    providerKeyId: provider.keyId,
    wrapped: fresh.wrapped,
    publicKey: fresh.publicKey,
    createdAt,
    activatedAt: undefined,
    retiredAt: undefined,
    compromisedAt: undefined,
    destroyAt: undefined,
    destroyWait: undefined,
    previousState: undefined,
    destruction: undefined,
  };
}

interface Proof<P extends Purpose> {
  providerKeys: ProviderKeys;
  stored: KeyRecord;
  fresh: FreshSecret;
  importKey: ImportKey<P>;
}

async function proveKey<P extends Purpose>({ providerKeys, stored, fresh, importKey }: Proof<P>, signal?: AbortSignal) {
  const notGivenBack = (cause?: unknown) =>
    new KmsError("PROVIDER_UNAVAILABLE", `the provider did not give back key ${stored.keyId} as it wrapped it`, {
      cause,
    });
  const opened = await unwrapUnchecked(providerKeys, stored, signal).catch((error) => {
    if (!hasCode(error, "DATA_LOSS") || !isAsMade(stored, fresh)) throw error;
    throw notGivenBack(error); // nobody has used it, and the store is as it should be: no damage of it
  });
  try {
    if (!timingSafeEqual(opened, fresh.secret)) throw notGivenBack();
    refuseOtherSecret(stored, opened);
    return importKey(stored, opened);
  } finally {
    opened.fill(0);
  }
}

function isAsMade({ wrapped, publicKey }: KeyRecord, fresh: FreshSecret): boolean {
  return Buffer.compare(wrapped, fresh.wrapped) === 0 && Buffer.compare(publicKey, fresh.publicKey) === 0;
}
