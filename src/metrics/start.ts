/**
 * Everything that is read of the service's parts when metrics are exported, so that no call pays for it. What parts count
 * as it happens is in telemetry/instruments.ts.
 */
import type { Meter } from "@opentelemetry/api";
import { startGcTime } from "../runtime/gc-time.ts";
import { startLoopLag } from "../runtime/loop-lag.ts";
import type { Time } from "../runtime/time.ts";
import { type CacheParts, observeCaches } from "./cached-keys.ts";
import { type CallerParts, observeCallers } from "./callers.ts";
import { type ConnectionParts, observeConnections } from "./open-connections.ts";
import { observeProcess } from "./process-use.ts";
import { observeProviders, type ProviderParts } from "./provider-use.ts";
import { observeQueues, type QueueParts } from "./queues.ts";
import { createObserver } from "./read-metrics.ts";
import { observeState, type StateParts } from "./service-state.ts";
import { observeStored, type StoredParts } from "./stored-state.ts";

export interface ObservedParts {
  providers: StateParts["providers"] & ProviderParts["providers"];
  storage: Pick<StateParts & QueueParts, "store" | "leases" | "heads">;
  access: CallerParts & ConnectionParts & Pick<StateParts, "policy" | "tls"> & Pick<QueueParts, "budget">;
  keys: Pick<CacheParts & QueueParts, "keyring" | "witness">;
  health: StateParts["health"] & StoredParts["health"];
  integrity: StoredParts["integrity"];
  backups: StoredParts["backups"];
  audit: QueueParts["audit"];
  pool: QueueParts["pool"];
}

export interface MetricsSettings extends Pick<StoredParts, "backupIntervalMs"> {
  readonly cache: { readonly maxEntries: number };
}

interface MetricsProcess {
  telemetry: { meter: Meter };
  log: { error(fields: { err: unknown; metric: string }, message: string): void };
  time: Time;
}

export function startMetrics(
  { backupIntervalMs, cache }: MetricsSettings,
  parts: ObservedParts,
  { telemetry, log, time }: MetricsProcess,
): { close(): void } {
  const { providers, storage, access, keys, health, integrity, backups } = parts;
  const loopLag = startLoopLag(time);
  const gcTime = startGcTime();
  const observer = createObserver(telemetry.meter, (err, metric) =>
    log.error({ err, metric }, "a metric cannot be read"),
  );
  observeState(observer, { ...storage, ...access, health, providers });
  observeCaches(observer, { ...keys, ...cache });
  observeStored(observer, { health, integrity, backupIntervalMs, backups, time });
  observeProviders(observer, { providers });
  observeQueues(observer, { ...parts, ...storage, ...access, ...keys, time });
  observeConnections(observer, access);
  observeCallers(observer, access);
  observeProcess(observer, { loopLag, gcTime, time });
  return {
    close() {
      gcTime.close();
      loopLag.close();
    },
  };
}
