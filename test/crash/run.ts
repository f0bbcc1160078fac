/** Kills the service, or its database, again and again, and checks each time that nothing was lost. */
import { startPostgres } from "../support/postgres-server.ts";
import { emptyTotals, startEpoch } from "./epoch.ts";
import { killDatabase } from "./kill-database.ts";
import { killService } from "./kill-service.ts";
import { type PlanOptions, planOf, stepsOf } from "./plan.ts";
import { powerCuts } from "./power-cuts.ts";
import { randomFrom } from "./random.ts";
import { openStage } from "./stage.ts";
import { countCut, type CrashSummary, isGivenUp, type Killing } from "./summary.ts";

export interface CrashRun extends Omit<PlanOptions, "random"> {
  seed: number;
  /** Whether each end of the service is one of the machine's power. On SQLite alone. */
  cutsPower?: boolean;
  /** Told after each kill. */
  report?(summary: CrashSummary): void;
}

export async function crashRun({
  seed,
  cutsPower = false,
  report = () => {},
  ...wish
}: CrashRun): Promise<CrashSummary> {
  const { target, only = stepsOf(target), first = only } = wish;
  const random = randomFrom(seed);
  const summary: CrashSummary = {
    ...emptyTotals(),
    kills: 0,
    killsAt: {},
    missed: [...first],
    powerCuts: { all: 0, losing: 0 },
    slowestStartMs: 0,
    slowestRecoveryMs: 0,
    problems: [],
  };
  const problem = (what: string) => void summary.problems.push(`kill ${summary.kills}: ${what}`);
  const postgres = target === "sqlite" ? undefined : await startPostgres({ durable: target === "database" });
  try {
    let number = 0;
    for (const plan of planOf({ ...wish, random })) {
      number += 1;
      const epoch = startEpoch({ number, random, totals: summary, problem });
      const cuts = cutsPower ? powerCuts(random, (unsynced) => countCut(summary, unsynced)) : undefined;
      const stage = await openStage(postgres, cuts);
      const killing: Killing = { epoch, stage, random, summary, problem, report: () => report(summary) };
      try {
        if (target === "database") await killDatabase(killing, postgres!, plan);
        else await killService(killing, plan);
      } finally {
        stage.close();
      }
      if (isGivenUp(summary)) break;
    }
  } finally {
    await postgres?.close();
  }
  return summary;
}
