/** The health monitor of a running service: it looks at the provider keys, the store and the audit trail, and logs each change. */
import type { Logger } from "pino";
import { hasCode } from "../errors.ts";
import type { StartedAlarm } from "../alarm.ts";
import type { StartedProviders } from "../provider-keys/start.ts";
import type { Store } from "../store/store.ts";
import type { DestructionWaits } from "../keys/destruction/waits.ts";
import type { TimeWitness } from "../keys/destruction/time-witness.ts";
import { watchDestructions } from "./destruction-requests.ts";
import { type Notice, notice, type Problem } from "../notices.ts";
import { type HealthMonitor, startHealthMonitor } from "./monitor.ts";
import { watchLastRuns } from "./last-runs.ts";
import { type OverdueKeys, type OverdueParts, watchOverdueKeys } from "./overdue-keys.ts";
import { rewrapNotices } from "./rewraps.ts";
import { watchWaits } from "./waits.ts";
import type { Time } from "../runtime/time.ts";

export interface HealthStart {
  providers: StartedProviders;
  store: Store;
  witness: Pick<TimeWitness, "read">;
  audit: { problem(): string | undefined };
  /** What other parts say is wrong. */
  problems(): readonly Problem[];
  /** Remarks on callers and TLS, without a look at the store. */
  accessRemarks(): readonly Notice[];
  alarm: StartedAlarm;
  log: Logger;
  /** Standing remarks, such as keys that a restart loses. */
  notices: readonly Notice[];
  /** Settings of the schedule that rotates keys. No key is overdue without them. */
  rotation?: OverdueParts["rotation"];
  time: Time;
}

export interface StartedHealth extends HealthMonitor {
  /** How many keys waited for a second caller to have them destroyed, at the last look at the store. */
  destructionRequests(): number;
  /** Which keys waited for their destruction then; undefined before the first look. */
  destructionWaits(): DestructionWaits | undefined;
  /** Number of keys that waited for their destruction then; 0 if the noted time could not be read. */
  destructionsWaiting(): number;
  /** Numbers of ACTIVE keys that the schedule should have replaced a week before that look. */
  overdueKeys(): OverdueKeys;
  /** Time at which the last noted backup was begun; undefined if none is known. */
  backupAt(): Date | undefined;
  /** Time at which the last noted check that found nothing was begun; undefined if none is known. */
  checkAt(): Date | undefined;
}

export async function startHealth(parts: HealthStart): Promise<StartedHealth> {
  const { providers, store, audit, problems, accessRemarks, alarm, log, notices, time } = parts;
  const { rotation = { enabled: false, maxAgeDays: 0 } } = parts;
  const hasOwnKey = (tenantId: string) => providers.tenantProviderKeys.keyOf(tenantId) !== undefined;
  const overdue = watchOverdueKeys({ store, rotation, hasOwnKey, time });
  const lastRuns = watchLastRuns(store, alarm.lost);
  const destructions = watchDestructions(store, time);
  const waits = watchWaits(store, parts.witness, alarm.lost);
  const monitor = await startHealthMonitor({
    alarm,
    time,
    watches: providers.watches,
    breakers: providers.breakers,
    tenantProviderKeys: providers.tenantProviderKeys.all,
    store,
    auditProblem: audit.problem,
    problems: () => [...problems(), ...waits.problems()],
    remarks: async () => {
      const asked = Promise.all([destructions.remarks(), waits.remarks(), rewrapNotices(store, providers.keys)]);
      const isAway = await asked.then(
        () => false,
        (error) => hasCode(error, "STORE_UNAVAILABLE"),
      );
      if (!isAway) await Promise.all([overdue.look(), lastRuns.look()]); // one that does not answer is not asked for more
      const found = await asked;
      const ofLog = store.log?.remark();
      return [...found.flat(), ...(ofLog === undefined ? [] : [notice("STORE_LOG_LARGE", ofLog, store.name)])];
    },
    accessRemarks,
    notices,
    onChange: (status, found) =>
      log.info(
        status === "operational" ? { status } : { status, notices: found.map(({ text }) => text) },
        `health is ${status}`,
      ),
  });
  return {
    ...monitor,
    destructionRequests: destructions.waiting,
    destructionWaits: waits.seen,
    destructionsWaiting: () => waits.seen()?.total ?? 0,
    overdueKeys: overdue.seen,
    backupAt: () => lastRuns.seenAt("backup"),
    checkAt: () => lastRuns.seenAt("check"),
  };
}
