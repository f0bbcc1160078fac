/** What is read of the service's parts whenever metrics are exported. */
import type { StartedHealth } from "./health/start.ts";
import type { Integrity } from "./integrity/start.ts";
import { cachesOf, type Keyring } from "./keys/keyring.ts";
import { callLimits, connectionLimits, type ToldLimits } from "./limits/told-limits.ts";
import type { LoopLag } from "./runtime/loop-lag.ts";
import type { StartedProviders } from "./provider-keys/start.ts";
import type { Heads } from "./store/heads/keeper.ts";
import type { Observed } from "./telemetry.ts";

export interface ObservedParts {
  keyring: Pick<Keyring, "stats">;
  health: Pick<StartedHealth, "current" | "destructionRequests">;
  integrity: Pick<Integrity, "status">;
  providers: Pick<StartedProviders, "watches" | "tenantProviderKeys" | "allBreakers">;
  heads: Pick<Heads, "status">;
  clock: () => Date;
  /** Most keys of each kind that are cached. */
  maxEntries: number;
  /** The store's log, if it has one. */
  log: { bytes(): number } | undefined;
  told: Pick<ToldLimits, "counts">;
  connections: Observed["connections"];
  loopLag: Pick<LoopLag, "quantiles">;
  policy: ObservedPolicy | undefined;
  tls: { expiresAt(): Date } | undefined;
}

type ObservedAuthentication = NonNullable<Observed["authentication"]>;
type PolicySeen = ReturnType<ObservedAuthentication["policy"]>;

interface ObservedPolicy {
  seen: Pick<ObservedAuthentication, "calls">;
  status(): Omit<PolicySeen, "issuers"> & { issuers: readonly IssuerSeen[] };
}

interface IssuerSeen {
  name: string;
  ageMs: number | undefined;
  openMs: number;
}

export function observedOf({
  keyring,
  health,
  integrity,
  providers,
  maxEntries,
  log,
  told,
  connections,
  loopLag,
  policy,
  tls,
  ...parts
}: ObservedParts): Observed {
  const counts = () => health.current().counts;
  return {
    caches: () => cachesOf(keyring, maxEntries),
    keys: () =>
      Object.entries(counts().byPurpose).flatMap(([purpose, states]) =>
        Object.entries(states).map(([state, count = 0]) => ({ purpose, state, count })),
      ),
    oldestActiveAt: () => counts().oldestActiveAt,
    lastRotationAt: () => counts().lastRotationAt,
    destructionRequests: health.destructionRequests,
    logBytes: log?.bytes,
    limits: {
      calls: () => pick(told.counts(), callLimits),
      connections: () => pick(told.counts(), connectionLimits),
    },
    connections,
    loopLag: loopLag.quantiles,
    integrity: integrity.status,
    breakers: providers.allBreakers,
    providerKeyConditions: () => [
      ...providers.watches.map((watch) => watch.current().condition),
      ...providers.tenantProviderKeys.all().map((key) => key.condition().condition),
    ],
    heads: () => headsSeen(parts),
    authentication: policy && authenticationOf(policy),
    certificateExpiresAt: tls?.expiresAt,
  };
}

function pick<Name extends string>(counts: Readonly<Record<Name, number>>, names: readonly Name[]) {
  return Object.fromEntries(names.map((name) => [name, counts[name]]));
}

function headsSeen({
  heads,
  clock,
}: Pick<ObservedParts, "heads" | "clock">): ReturnType<NonNullable<Observed["heads"]>> {
  const { file, currentAtMs, failures } = heads.status();
  return file === "" ? undefined : { ageMs: Math.max(0, clock().getTime() - currentAtMs), failures };
}

function authenticationOf({ seen, status }: ObservedPolicy): ObservedAuthentication {
  return {
    calls: seen.calls,
    policy() {
      const { issuers, ...policy } = status();
      return { ...policy, issuers: issuers.map(({ name, ageMs, openMs }) => ({ name, ageMs: ageMs ?? openMs })) };
    },
  };
}
