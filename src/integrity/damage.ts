/** All damage of the store that is known: the findings of the passes, and what uses and looks met since. */
import type { StartedAlarm } from "../alarm.ts";
import { replicaClockSkewMs } from "../store/held-lease.ts";
import { createFindings, type Findings, type FindingsParts } from "./findings.ts";
import { createMetLosses } from "./met-losses.ts";
import type { Time } from "../runtime/time.ts";

export interface DamageParts extends FindingsParts {
  alarm: Pick<StartedAlarm, "changed" | "listen">;
  time: Time;
}

export interface Damage extends Findings {
  /** Number of damaged things. `cleanAt` is when a pass of any replica last began that found nothing. */
  count(cleanAt: Date | undefined): number;
  /** Stops listening to the alarm. */
  close(): void;
}

export function createDamage(parts: DamageParts): Damage {
  const findings = createFindings(parts);
  const losses = createMetLosses(parts.time);
  const unlisten = parts.alarm.listen({ lost: losses.met, suspect() {}, changed() {} });
  return {
    ...findings,
    begin() {
      findings.begin();
      losses.passBegins();
    },
    end(how) {
      losses.passEnded(how, findings.all());
      return findings.end(how);
    },
    count(cleanAt) {
      if (cleanAt !== undefined) losses.forgetBefore(cleanAt.getTime() - replicaClockSkewMs);
      const found = findings.all();
      return found.length + losses.beside(found);
    },
    close: unlisten,
  };
}
