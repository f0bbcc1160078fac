/**
 * Destructions that are scheduled, for an operator: those that wait although their time has come by the clock, and what is wrong with clocks,
 * or with the noted time.
 */
import { hasCode } from "../errors.ts";
import {
  type DestructionWaits,
  destructionWaits,
  mayBeMissingMs,
  type WaitingDestruction,
} from "../keys/destruction/waits.ts";
import { agree } from "../keys/destruction/time-rule.ts";
import type { TimeView, TimeWitness } from "../keys/destruction/time-witness.ts";
import type { Store } from "../store/store.ts";
import { type Notice, notice, type Problem } from "../notices.ts";

export interface WaitWatch {
  /** Looks at the store, and at the clocks. */
  remarks(): Promise<Notice[]>;
  /** What the last look found to be wrong with the noted time. */
  problems(): Problem[];
  /** What the last look saw; undefined if the noted time could not be read. */
  seen(): DestructionWaits | undefined;
}

const named = 5;

/** Watches scheduled destructions. `lost` is called with each look that finds the noted time damaged. */
export function watchWaits(
  store: Pick<Store, "destructionsWaiting">,
  witness: Pick<TimeWitness, "read">,
  lost: (what: string) => void,
): WaitWatch {
  let seen: DestructionWaits | undefined;
  let loss: string | undefined;
  return {
    seen: () => seen,
    problems: () => (loss === undefined ? [] : [{ status: "degraded", notice: lossNotice(loss) }]),
    async remarks() {
      try {
        seen = await destructionWaits(store, witness);
        loss = undefined;
      } catch (error) {
        if (!hasCode(error, "DATA_LOSS")) throw error;
        seen = undefined;
        loss = (error as Error).message;
        lost(loss);
        return [];
      }
      return [...disagreement(seen.time), ...late(seen), ...withoutSecondClock(seen)];
    },
  };
}

function lossNotice(loss: string): Notice {
  return notice("TIME_DAMAGED", `No destruction is scheduled or done before the store is restored: ${loss}.`);
}

function disagreement({ wallAt, second }: TimeView): Notice[] {
  if (second === undefined || agree({ wallAt, secondAt: second.at })) return [];
  const ours = `This service's clock says ${wallAt.toISOString()}, and that of ${second.name} ${second.at.toISOString()}`;
  const text = `${ours}: set the wrong one. Until they agree no destruction is scheduled, and downtime does not count.`;
  return [notice("CLOCKS_DISAGREE", text, second.name)];
}

function late({ first }: DestructionWaits): Notice[] {
  const found = first.filter(({ isDueByClock, unwitnessedMs = 0 }) => isDueByClock && unwitnessedMs > mayBeMissingMs);
  if (found.length === 0) return [];
  const whose = found.slice(0, named).map(lateText);
  const more = found.length > named ? [`${found.length - named} more`] : [];
  const keys = [...whose, ...more].join("; ");
  return [
    notice("DESTRUCTION_LATE", `Due by the clock, and not destroyed before services have seen the days pass: ${keys}.`),
  ];
}

function lateText({ record, unwitnessedMs }: WaitingDestruction): string {
  const { tenantId, purpose, keyId } = record;
  return `${purpose} key ${keyId} of tenant ${tenantId}, ${hours(unwitnessedMs!)} h to go`;
}

function hours(ms: number): string {
  return Math.ceil(ms / 3_600_000).toLocaleString("en");
}

function withoutSecondClock({ total, time }: DestructionWaits): Notice[] {
  if (total === 0 || time.second !== undefined) return [];
  const keys = total === 1 ? "1 key" : `${total.toLocaleString("en")} keys`;
  const text = `There is no second clock: time in which no service runs does not count for the destruction of ${keys}.`;
  return [notice("NO_SECOND_CLOCK", text)];
}
