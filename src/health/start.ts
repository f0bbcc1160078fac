/** The health monitor of a running service: it looks at the provider keys, the store and the audit trail, and logs each change. */
import type { Logger } from "pino";
import type { StartedAlarm } from "../alarm.ts";
import type { StartedProviders } from "../provider-keys/start.ts";
import type { Store } from "../store/store.ts";
import type { DestructionWaits } from "../keys/time/destruction-waits.ts";
import type { TimeWitness } from "../keys/time/time-witness.ts";
import { watchDestructions } from "./destruction-remarks.ts";
import { type HealthMonitor, type Problem, startHealthMonitor } from "./monitor.ts";
import { rewrapRemarks } from "./rewrap-remarks.ts";
import { watchWaits } from "./wait-remarks.ts";

export interface HealthStart {
  providers: StartedProviders;
  store: Store;
  witness: Pick<TimeWitness, "read">;
  audit: { problem(): string | undefined };
  /** What other parts say is wrong. */
  problems(): readonly Problem[];
  /** Remarks on callers and TLS, without a look at the store. */
  accessRemarks(): readonly string[];
  alarm: StartedAlarm;
  log: Logger;
  /** Standing remarks, such as keys that a restart loses. */
  notices: readonly string[];
  clock?: () => Date;
}

export interface StartedHealth extends HealthMonitor {
  /** How many keys waited for a second caller to have them destroyed, at the last look at the store. */
  destructionRequests(): number;
  /** Which keys waited for their destruction then; undefined before the first look. */
  destructionWaits(): DestructionWaits | undefined;
}

export async function startHealth(parts: HealthStart): Promise<StartedHealth> {
  const { providers, store, audit, problems, accessRemarks, alarm, log, notices, clock = () => new Date() } = parts;
  const destructions = watchDestructions(store, clock);
  const waits = watchWaits(store, parts.witness);
  const monitor = await startHealthMonitor({
    alarm,
    watches: providers.watches,
    breakers: providers.breakers,
    tenantProviderKeys: providers.tenantProviderKeys.all,
    store,
    auditProblem: audit.problem,
    problems: () => [...problems(), ...waits.problems()],
    remarks: async () => {
      const found = await Promise.all([destructions.remarks(), waits.remarks(), rewrapRemarks(store, providers.keys)]);
      const ofLog = store.log?.remark();
      return [...found.flat(), ...(ofLog === undefined ? [] : [ofLog])];
    },
    accessRemarks,
    notices,
    onChange: (status, found) =>
      log.info(status === "operational" ? { status } : { status, notices: found }, `health is ${status}`),
  });
  return { ...monitor, destructionRequests: destructions.waiting, destructionWaits: waits.seen };
}
