/** What a run of kills shares, and adds up. */
import type { Epoch, Totals } from "./epoch.ts";
import type { Random } from "./random.ts";
import type { Stage } from "./stage.ts";

export interface CrashSummary extends Totals {
  kills: number;
  /** By step or kind. */
  killsAt: Record<string, number>;
  /** Ends of the service that were ends of the machine's power, and those of them with writes that were not synced. */
  powerCuts: { all: number; losing: number };
  /** Steps at which it never died. */
  missed: string[];
  slowestStartMs: number;
  /** The longest that the service needed, once the database was back, until it used and changed keys again. */
  slowestRecoveryMs: number;
  problems: string[];
}

export interface Killing {
  epoch: Epoch;
  stage: Stage;
  random: Random;
  summary: CrashSummary;
  problem(what: string): void;
  report(): void;
}

const mostProblems = 20;

/** More of them would say no more. */
export function isGivenUp({ problems }: CrashSummary): boolean {
  return problems.length >= mostProblems;
}

export function countCut({ powerCuts }: CrashSummary, unsynced: number): void {
  powerCuts.all += 1;
  if (unsynced > 0) powerCuts.losing += 1;
}

export function countKill(summary: CrashSummary, name: string): void {
  summary.kills += 1;
  summary.killsAt[name] = (summary.killsAt[name] ?? 0) + 1;
}
