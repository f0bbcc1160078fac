/** The audit trail of a running service: what it meets is in the log, in metrics, and raises the alarm. */
import type { Logger } from "pino";
import type { Alarm } from "../alarm.ts";
import { step } from "../failpoints.ts";
import type { Store } from "../store/store.ts";
import type { Instruments } from "../telemetry/instruments.ts";
import { type AuditTrail, createAuditTrail } from "./trail.ts";
import type { Time } from "../runtime/time.ts";

export interface AuditTrailParts {
  store: Pick<Store, "appendAudit" | "auditHead">;
  log: Logger;
  time: Time;
  instruments: Pick<Instruments, "auditRows">;
  alarm: Pick<Alarm, "suspect">;
}

export function startAuditTrail({ store, log, time, instruments, alarm }: AuditTrailParts): AuditTrail {
  const trail = createAuditTrail({
    store,
    time,
    rowsWritten: instruments.auditRows,
    step,
    onProblem(problem, err) {
      if (problem === undefined) log.info("audit rows are written again");
      else log.error({ err }, problem);
      alarm.suspect();
    },
  });
  return {
    ...trail,
    close: () => trail.close().catch((err) => log.error({ err }, "the last uses were not audited")),
  };
}
