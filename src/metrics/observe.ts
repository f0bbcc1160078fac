/**
 * Everything that is read of the service's parts when metrics are exported, so that no call pays for it. What parts count
 * as it happens is in telemetry/instruments.ts.
 */
import type { Meter } from "@opentelemetry/api";
import { type CallerParts, observeCallers } from "./callers.ts";
import { type ConnectionParts, observeConnections } from "./open-connections.ts";
import { type CacheParts, observeCaches } from "./cached-keys.ts";
import { createObserver, type ReadFailed } from "./read-metrics.ts";
import { observeProcess, type ProcessParts } from "./process-use.ts";
import { observeProviders, type ProviderParts } from "./provider-use.ts";
import { observeQueues, type QueueParts } from "./queues.ts";
import { observeState, type StateParts } from "./service-state.ts";
import { observeStored, type StoredParts } from "./stored-state.ts";

export type ObservedParts = StateParts &
  CacheParts &
  StoredParts &
  ProviderParts &
  QueueParts &
  ConnectionParts &
  CallerParts &
  ProcessParts & { failed: ReadFailed };

export function observeService(meter: Meter, parts: ObservedParts): void {
  const observer = createObserver(meter, parts.failed);
  observeState(observer, parts);
  observeCaches(observer, parts);
  observeStored(observer, parts);
  observeProviders(observer, parts);
  observeQueues(observer, parts);
  observeConnections(observer, parts);
  observeCallers(observer, parts);
  observeProcess(observer, parts);
}
