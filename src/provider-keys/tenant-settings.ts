/** Which provider keys tenants have of their own, as the configuration names them. */
import type { ProviderSettings } from "../provider/registry.ts";

export interface TenantKeySettings {
  /** By the name that operators know it by. A key of the service's own provider is its own name. */
  readonly providerKeys: ReadonlyMap<string, ProviderSettings>;
  /** Tenant to the name of its provider key. */
  readonly tenants: ReadonlyMap<string, string>;
}
