/** What is read of the service's parts whenever metrics are exported. */
import type { HealthMonitor } from "./health/monitor.ts";
import { cachesOf, type Keyring } from "./keys/keyring.ts";
import type { StartedProviders } from "./provider-keys/start.ts";
import type { Observed } from "./telemetry.ts";

export interface ObservedParts {
  keyring: Pick<Keyring, "stats">;
  health: Pick<HealthMonitor, "current">;
  providers: Pick<StartedProviders, "watches" | "tenantProviderKeys" | "allBreakers">;
  /** Most keys of each kind that are cached. */
  maxEntries: number;
}

export function observedOf({ keyring, health, providers, maxEntries }: ObservedParts): Observed {
  const counts = () => health.current().counts;
  return {
    caches: () => cachesOf(keyring, maxEntries),
    keys: () =>
      Object.entries(counts().byPurpose).flatMap(([purpose, states]) =>
        Object.entries(states).map(([state, count = 0]) => ({ purpose, state, count })),
      ),
    oldestActiveAt: () => counts().oldestActiveAt,
    lastRotationAt: () => counts().lastRotationAt,
    breakers: providers.allBreakers,
    providerKeyConditions: () => [
      ...providers.watches.map((watch) => watch.current().condition),
      ...providers.tenantProviderKeys.all().map((key) => key.condition().condition),
    ],
  };
}
