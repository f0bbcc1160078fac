/**
 * What the local socket changes in a running process, each change with a row of the audit trail. Nothing here touches a key, and an outage of the store
 * is when it is needed: if no row can be written the change is made all the same. The log has it at once, and the row follows when the store takes it.
 */
import type { Logger } from "pino";
import type { AuditTrail } from "../../audit/trail.ts";
import { invalidField } from "../../errors.ts";
import { inTime } from "../../runtime/deadline.ts";
import type { Time } from "../../runtime/time.ts";
import type { AuditAction } from "../../store/audit-store.ts";
import type { Store } from "../../store/store.ts";

export interface LocalChanges {
  logLevel(): { level: string; configured: string };
  /** INVALID_ARGUMENT for what is no level. The next start has the configured one again. */
  setLogLevel(level: unknown): Promise<void>;
  noteProfile(seconds: number): Promise<void>;
}

export interface LocalChangeParts {
  log: Logger;
  store: Pick<Store, "appendAudit">;
  audit: Pick<AuditTrail, "used">;
  time: Time;
}

const actor = "local";

export function localChanges({ log, store, audit, time }: LocalChangeParts): LocalChanges {
  const configured = log.level;
  const levels: readonly unknown[] = [...Object.keys(log.levels.values), "silent"];

  async function note(action: AuditAction, detail: string): Promise<void> {
    log.warn({ actor, action, detail }, "asked for over the local socket");
    const row = { at: time.now(), actor, action, tenantId: "", purpose: undefined, keyId: "", detail };
    try {
      await inTime(time, store.appendAudit([{ ...row, outcome: "OK", requestId: "", count: 1 }]));
    } catch {
      // Counted uses are kept and tried again until they are stored; only the detail is in the log alone.
      audit.used(actor, action, "", "", undefined, 1);
    }
  }

  return {
    logLevel: () => ({ level: log.level, configured }),
    async setLogLevel(level) {
      if (typeof level !== "string" || !levels.includes(level)) {
        throw invalidField("level", `must be one of ${levels.join(", ")}`);
      }
      // The line of the change is written by the level that shows more, the former or the new one.
      if ((log.levels.values[level] ?? Number.POSITIVE_INFINITY) < log.levelVal) log.level = level;
      await note("set_log_level", `level=${level}`);
      log.level = level;
    },
    noteProfile: (seconds) => note("profile_cpu", `seconds=${seconds}`),
  };
}
