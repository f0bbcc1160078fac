/**
 * The provider keys that the configuration names: the one that wraps what is new, and those that only open what they wrapped before.
 * A record names the key that wrapped it; a key that the configuration does not name is never used.
 */
import { KmsError } from "../errors.ts";
import type { Provider } from "../provider/provider.ts";
import type { WrappedBy } from "../store/store.ts";

export interface MasterKeys {
  /** Wraps what is new. */
  readonly current: Provider;
  /** The current one first. */
  readonly all: readonly Provider[];
  /** The key that wrapped `wrapped`, which `what` names. PROVIDER_DENIED where the configuration does not name it. */
  of(wrapped: WrappedBy, what: string): Provider;
  /** SHA-256 that the store key must have, see store-key-pin.ts. */
  readonly storeKeyPin?: string | undefined;
  close(): Promise<void>;
}

export function masterKeys(current: Provider, ...others: readonly Provider[]): MasterKeys {
  const all = [current, ...others];
  return {
    current,
    all,
    of(wrapped, what) {
      const found = all.find((provider) => hasWrapped(provider, wrapped));
      if (found !== undefined) return found;
      const present = all.map(({ name, keyId }) => `${name} ${keyId}`).join(", or ");
      throw new KmsError("PROVIDER_DENIED", `${what} is under ${nameOf(wrapped)}, and the provider is ${present}`);
    },
    async close() {
      await Promise.all(all.map((provider) => provider.close()));
    },
  };
}

/** The same, for a store whose key has this SHA-256 and no other. */
export function pinned(keys: MasterKeys, storeKeyPin: string | undefined): MasterKeys {
  return { ...keys, storeKeyPin };
}

export function hasWrapped({ name, keyId }: Provider, { provider, providerKeyId }: WrappedBy): boolean {
  return name === provider && keyId === providerKeyId;
}

/** As a record that it wraps names it. */
export function wrappedBy({ name, keyId }: Provider): WrappedBy {
  return { provider: name, providerKeyId: keyId };
}

/** One word for a provider key, unique over all providers. */
export function nameOf({ provider, providerKeyId }: WrappedBy): string {
  return `${provider} ${providerKeyId}`;
}
