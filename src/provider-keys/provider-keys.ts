/**
 * The provider keys that the configuration names: the one that wraps what is new, those that wrap it for tenants that have one of their
 * own, and those that only open what they wrapped before. A record names the key that wrapped it; a key that the configuration does not
 * name is never used.
 */
import { KmsError } from "../errors.ts";
import type { Provider } from "../provider/provider.ts";
import type { WrappedBy, Wrapping } from "../store/key-store.ts";

export interface ProviderKeys {
  /** Wraps the store key, and what is new of all tenants that have no key of their own. */
  readonly current: Provider;
  /** The current one and those that only open: all but those of tenants. */
  readonly shared: readonly Provider[];
  /** Wraps what is new of this tenant. PROVIDER_DENIED or PROVIDER_UNAVAILABLE while the tenant's own key is not open. */
  ofTenant(tenantId: string): Provider;
  /**
   * The key that wrapped a tenant's key, which `what` names. PROVIDER_DENIED where the configuration does not name it; PROVIDER_UNAVAILABLE
   * where it may be one that is not open yet.
   */
  of(wrapped: WrappedBy & { tenantId: string }, what: string): Provider;
  /**
   * The key that wrapped the store key: never one of a tenant, who could make another store key under it. PROVIDER_DENIED where the
   * configuration does not name it.
   */
  ofStore(wrapped: WrappedBy): Provider;
  /** Whether the configuration names the key that wrapped this, as far as is known: one that is not open may be any. */
  isNamed(wrapped: WrappedBy): boolean;
  /** Has the key that wrapped a tenant's key probed soon: what it opened was not what the record says. */
  doubt(wrapped: WrappedBy & { tenantId: string }): void;
  /** Which key should have wrapped what. */
  wrapping(): Wrapping;
  /** SHA-256 that the store key must have, see keys/store-key/pin.ts. */
  readonly storeKeyPin: string | undefined;
  close(): Promise<void>;
}

/** The provider keys of tenants that have one of their own. They come and go with the configuration, and one that cannot be opened harms no other. */
export interface TenantProviderKeys {
  /** Undefined for a tenant that has none of its own. Throws why the tenant's cannot be used. */
  ofTenant(tenantId: string): Provider | undefined;
  /** Undefined too where the tenant's is not open. */
  openOf(tenantId: string): Provider | undefined;
  /** Of those that are open, whichever tenant they are for. */
  find(wrapped: WrappedBy): Provider | undefined;
  /** Names of those that are not open, as operators know them. */
  notOpen(): readonly string[];
  /** Each tenant's own; undefined for one that is not open. */
  tenants(): Wrapping["tenants"];
}

const noTenantProviderKeys: TenantProviderKeys = {
  ofTenant: () => undefined,
  openOf: () => undefined,
  find: () => undefined,
  notOpen: () => [],
  tenants: () => new Map(),
};

export interface ProviderKeyParts {
  current: Provider;
  /** Open what they wrapped, and wrap nothing. */
  others?: readonly Provider[] | undefined;
  tenantProviderKeys?: TenantProviderKeys | undefined;
  storeKeyPin?: string | undefined;
  /** Called with a key that should be probed. */
  doubt?: ((provider: Provider) => void) | undefined;
}

/** Closing it closes those that were given; the tenants' are closed by whoever opened them. */
export function providerKeys({
  current,
  others = [],
  tenantProviderKeys = noTenantProviderKeys,
  storeKeyPin,
  doubt = () => {},
}: ProviderKeyParts): ProviderKeys {
  const shared = [current, ...others];
  const notNamed = (wrapped: WrappedBy, what: string) => {
    const present = shared.map(({ name, keyId }) => `${name} ${keyId}`).join(", or ");
    return new KmsError("PROVIDER_DENIED", `${what} is under ${nameOf(wrapped)}, and the provider is ${present}`);
  };
  const find = (wrapped: WrappedBy) =>
    shared.find((provider) => hasWrapped(provider, wrapped)) ?? tenantProviderKeys.find(wrapped);
  /** Where two name one key, each with its own credentials, what is refused the one concerns its tenants alone. */
  const ownOf = (wrapped: WrappedBy & { tenantId: string }) => {
    const own = tenantProviderKeys.openOf(wrapped.tenantId);
    return own !== undefined && hasWrapped(own, wrapped) ? own : undefined;
  };
  return {
    current,
    shared,
    storeKeyPin,
    ofTenant: (tenantId) => tenantProviderKeys.ofTenant(tenantId) ?? current,
    of(wrapped, what) {
      const found = ownOf(wrapped) ?? find(wrapped);
      if (found !== undefined) return found;
      tenantProviderKeys.ofTenant(wrapped.tenantId); // says why, where the tenant's own is not open
      const [waiting] = tenantProviderKeys.notOpen();
      if (waiting === undefined) throw notNamed(wrapped, what);
      // Its name may be another customer's: it is for operators.
      const why = "which may be a provider key that is not open";
      const advice = `Provider key ${waiting} is not open; see why: fluo-kms status`;
      throw new KmsError("PROVIDER_UNAVAILABLE", `${what} is under ${nameOf(wrapped)}, ${why}`, {
        advice,
        tenantsAffair: true,
      });
    },
    ofStore(wrapped) {
      const found = shared.find((provider) => hasWrapped(provider, wrapped));
      if (found === undefined) throw notNamed(wrapped, "the store");
      return found;
    },
    isNamed: (wrapped) => find(wrapped) !== undefined || tenantProviderKeys.notOpen().length > 0,
    doubt(wrapped) {
      const found = ownOf(wrapped) ?? find(wrapped);
      if (found !== undefined) doubt(found);
    },
    wrapping: () => ({ current: wrappedBy(current), tenants: tenantProviderKeys.tenants() }),
    async close() {
      await Promise.all(shared.map((provider) => provider.close()));
    },
  };
}

export function hasWrapped({ name, keyId }: Provider, { provider, providerKeyId }: WrappedBy): boolean {
  return name === provider && keyId === providerKeyId;
}

/** As a record that it wraps names it. */
export function wrappedBy({ name, keyId }: Pick<Provider, "name" | "keyId">): WrappedBy {
  return { provider: name, providerKeyId: keyId };
}

/** One word for a provider key, unique over all providers. */
export function nameOf({ provider, providerKeyId }: WrappedBy): string {
  return `${provider} ${providerKeyId}`;
}
