/** The provider keys that the configuration names, each behind its resilience layer. */
import { ExponentialBackoff } from "cockatiel";
import { hasCode, invalidField } from "../errors.ts";
import type { Time } from "../runtime/time.ts";
import { dependable } from "./failover.ts";
import type { Regions } from "./provider.ts";
import { openProvider, type ProviderSettings } from "./registry.ts";
import type { ResilienceOptions, ResilientProvider } from "./resilience.ts";
import { retried } from "./retries.ts";

export interface NamedProviders {
  provider: ProviderSettings;
  /** Opens what it wrapped, and wraps nothing. */
  otherProvider: ProviderSettings | undefined;
}

/** The current one first. Throws INVALID_ARGUMENT where the two are one key. */
export async function openProviders(
  { provider, otherProvider }: NamedProviders,
  options: ResilienceOptions,
): Promise<[ResilientProvider, ...ResilientProvider[]]> {
  const opened: ResilientProvider[] = [];
  try {
    const current = await openProviderKey(provider, options);
    opened.push(current);
    if (otherProvider === undefined) return [current];
    const other = await openProviderKey(otherProvider, options);
    opened.push(other);
    if (current.name !== other.name || current.keyId !== other.keyId) return [current, other];
    throw invalidField("fluo.kms.other.provider", `its key has the same name as the first provider's: ${other.keyId}`);
  } catch (error) {
    await Promise.all(opened.map((each) => each.close()));
    throw error;
  }
}

/** One key behind its resilience layer. Throws as its provider's `open…` does. */
export async function openProviderKey(
  settings: ProviderSettings,
  options: ResilienceOptions,
): Promise<ResilientProvider> {
  return dependable(await open(settings, options.time), options);
}

/** One request that is throttled or lost must not end a start. */
function open(settings: ProviderSettings, time: Time): Promise<Regions> {
  const takeRetry = (error: unknown) => hasCode(error, "PROVIDER_UNAVAILABLE");
  const backoff = new ExponentialBackoff({ initialDelay: 200, maxDelay: 1_000 });
  return retried({ time, maxRetries: 2, backoff, takeRetry }, () => openProvider(settings, time));
}
