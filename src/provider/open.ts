/** The provider keys that the configuration names, each behind its resilience layer. */
import { invalidField } from "../errors.ts";
import { dependable } from "./failover.ts";
import { openProvider, type ProviderSettings } from "./registry.ts";
import type { ResilienceOptions, ResilientProvider } from "./resilience.ts";

export interface NamedProviders {
  provider: ProviderSettings;
  /** Opens what it wrapped, and wraps nothing. */
  otherProvider: ProviderSettings | undefined;
}

/** The current one first. Throws INVALID_ARGUMENT where the two are one key. */
export async function openProviders(
  { provider, otherProvider }: NamedProviders,
  options: ResilienceOptions = {},
): Promise<[ResilientProvider, ...ResilientProvider[]]> {
  const current = dependable(await openProvider(provider), options);
  if (otherProvider === undefined) return [current];
  const other = dependable(await openProvider(otherProvider), options);
  if (current.name === other.name && current.keyId === other.keyId) {
    throw invalidField("fluo.kms.other.provider", `its key has the same name as the first provider's: ${other.keyId}`);
  }
  return [current, other];
}
