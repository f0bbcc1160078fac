/** Settings of the provider keys: the service's own, and those of tenants that have one of their own. */
import type { Notice } from "../notices.ts";
import type { NamedProviders } from "../provider/open.ts";
import type { ProviderSettings } from "../provider/registry.ts";

export interface ProviderKeySettings extends NamedProviders {
  readonly tenantProviderKeys: TenantProviderKeySettings;
  /** SHA-256 that the store key must have, see keys/store-key/pin.ts. */
  readonly storeKeyPin: string | undefined;
  /** Between looks at a key. */
  readonly providerCheckMs: number;
  /** Remarks on these settings. */
  readonly warnings: readonly Notice[];
}

export interface TenantProviderKeySettings {
  /** Settings by the name that operators use. A key of the service's own provider is its own name. */
  readonly providerKeys: ReadonlyMap<string, ProviderSettings>;
  /** Tenant to the name of its provider key. */
  readonly tenants: ReadonlyMap<string, string>;
}
