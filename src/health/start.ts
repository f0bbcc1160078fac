/** The health monitor of a running service: it looks at the provider keys, the store and the audit trail, and logs each change. */
import type { Logger } from "pino";
import type { StartedAlarm } from "../alarm.ts";
import type { StartedProviders } from "../provider-keys/start.ts";
import type { Store } from "../store/store.ts";
import { type HealthMonitor, startHealthMonitor } from "./monitor.ts";
import { rewrapRemarks } from "./rewrap-remarks.ts";

export interface HealthStart {
  providers: StartedProviders;
  store: Store;
  audit: { problem(): string | undefined };
  alarm: StartedAlarm;
  log: Logger;
  /** Standing remarks, such as keys that a restart loses. */
  notices: readonly string[];
}

export function startHealth({ providers, store, audit, alarm, log, notices }: HealthStart): Promise<HealthMonitor> {
  return startHealthMonitor({
    alarm,
    watches: providers.watches,
    breakers: providers.breakers,
    tenantProviderKeys: providers.tenantProviderKeys.all,
    store,
    auditProblem: audit.problem,
    remarks: () => rewrapRemarks(store, providers.keys),
    notices,
    onChange: (status, found) =>
      log.info(status === "operational" ? { status } : { status, notices: found }, `health is ${status}`),
  });
}
