/** What the service is, and whether it can work. */
import type { Authentication } from "../auth/start.ts";
import type { Condition, HealthMonitor } from "../health/monitor.ts";
import type { StartedProviders } from "../provider-keys/start.ts";
import { type HeldLeases, leasedWork } from "../store/held-leases.ts";
import type { Heads } from "../store/heads/keeper.ts";
import { newestSchema } from "../store/sql/rows/schema.ts";
import type { Tls } from "../transport/tls.ts";
import { version } from "../version.ts";
import { flag, type Observer, oneOf, type Sample } from "./read-metrics.ts";

export interface StateParts {
  health: Pick<HealthMonitor, "current">;
  leases: Pick<HeldLeases<unknown>, "holds">;
  providers: Pick<StartedProviders, "tenantKeysReloadFailed">;
  policy: Pick<Authentication, "status"> | undefined;
  tls: Pick<Tls, "reloadFailed"> | undefined;
  heads: Pick<Heads, "isBehind">;
}

const conditions: readonly Condition[] = ["operational", "degraded", "down"];

export function observeState({ gauge }: Observer, parts: StateParts): void {
  const { health, leases, providers, policy, tls, heads } = parts;
  const build = { version, schema: String(newestSchema), node: process.versions.node };
  gauge("kms_build_info", "1 for what runs", () => [[1, build]]);
  gauge("kms_ready", "1 while the service is ready", () => flag(health.current().status !== "down"));
  gauge("kms_health", "1 for the health of the service as it is, 0 for others", () =>
    oneOf("status", conditions, health.current().status),
  );
  gauge("kms_heads_behind", "1 while the store is behind its heads file", () => flag(heads.isBehind()));
  gauge("kms_lease_held", "1 while this replica does the work of a lease", () =>
    leasedWork.map((name): Sample => [flag(leases.holds(name)), { name }]),
  );
  const units: Readonly<Record<string, () => boolean>> = {
    policy: () => policy?.status().reloadFailed === true,
    tls: () => tls?.reloadFailed() === true,
    tenants: providers.tenantKeysReloadFailed,
  };
  gauge("kms_reload_failed", "1 from a reload that failed until one succeeds", () =>
    Object.entries(units).map(([unit, hasFailed]): Sample => [flag(hasFailed()), { unit }]),
  );
}
