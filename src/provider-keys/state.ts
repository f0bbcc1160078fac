/** State of the provider keys, for metrics: tenants' own are their tenants' affair, and apart from the service's. */
import type { ProviderCredential } from "../provider/provider.ts";
import { type Breaker, type ResilientProvider, worstBreakers, worstState } from "../provider/resilience.ts";
import type { Scope } from "../telemetry/instruments.ts";
import type { StartedTenantProviderKeys } from "./tenant-provider-keys.ts";
import type { ProviderCondition, ProviderWatch } from "./watch.ts";

export interface KeyState extends Pick<ProviderCondition, "condition" | "lie"> {
  scope: Scope;
}

export interface ProviderState {
  /** Breakers of the service's own keys, by the name of each place: scope "service". */
  breakers(): Breaker[];
  /**
   * Worst state of all breakers of tenants' own keys; undefined without any. A tenant's key has breakers of its own, at
   * the service's provider too.
   */
  tenantBreakers(): Breaker["state"] | undefined;
  /** Breakers of both, in which a tenant's may stand under the name of the service's. */
  allBreakers(): Breaker[];
  /** Condition of each of the service's own keys, and of each key of tenants that the configuration names. */
  conditions(): readonly KeyState[];
  /** Credentials of the service's own keys as far as they are known: for each provider the one that ends first. */
  credentials(): readonly (ProviderCredential & { name: string })[];
  /** Digest of the tenants' provider keys in effect, see tenant-keys-digest.ts. */
  tenantKeysSha256(): string;
}

export interface ProviderStateParts {
  /** The service's own keys. */
  opened: readonly ResilientProvider[];
  watches: readonly Pick<ProviderWatch, "current">[];
  tenantProviderKeys: Pick<StartedTenantProviderKeys, "all" | "breakers" | "sha256">;
}

export function providerState({ opened, watches, tenantProviderKeys }: ProviderStateParts): ProviderState {
  const ofService = () => opened.flatMap((each) => each.breakers());
  return {
    breakers: () => worstBreakers(ofService()),
    tenantBreakers: () => worstState(tenantProviderKeys.breakers()),
    allBreakers: () => worstBreakers([...ofService(), ...tenantProviderKeys.breakers()]),
    conditions: () => [
      ...watches.map((each) => keyState("service", each.current())),
      ...tenantProviderKeys.all().map((each) => keyState("tenant", each.open?.watch.current() ?? each.condition())),
    ],
    credentials: () => firstToEnd(opened),
    tenantKeysSha256: tenantProviderKeys.sha256,
  };
}

function keyState(scope: Scope, { condition, lie }: Pick<ProviderCondition, "condition" | "lie">): KeyState {
  return { scope, condition, lie };
}

function firstToEnd(opened: readonly ResilientProvider[]): (ProviderCredential & { name: string })[] {
  const known = opened.flatMap((each) => {
    const credential = each.credential?.();
    return credential === undefined ? [] : [{ name: each.name, ...credential }];
  });
  const byName = Map.groupBy(known, ({ name }) => name);
  return [...byName.values()].map((some) => some.reduce((first, each) => (each.until < first.until ? each : first)));
}
