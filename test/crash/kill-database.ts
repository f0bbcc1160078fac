/** Kills the database while the service stays up: it is UNAVAILABLE for that time, and recovers by itself. */
import { status } from "@grpc/grpc-js";
import type { PostgresServer } from "../support/postgres-server.ts";
import type { Kill } from "./plan.ts";
import { served, stopped } from "./serving.ts";
import { countKill, isGivenUp, type Killing } from "./summary.ts";
import { isTrue, passed } from "./waiting.ts";

const recoverWithinMs = 10_000;
const mostDownMs = 500;
/** Of a caller who hears that the service is unavailable. */
const mostPauseMs = 100;

export async function killDatabase(killing: Killing, postgres: PostgresServer, plan: readonly Kill[]): Promise<void> {
  const { stage, epoch, random, summary, problem, report } = killing;
  const scope = { days: 0, everything: false };
  const service = stage.start({ days: 0 });
  const client = await served(killing, service);
  for (const kill of plan) {
    let isOver = false;
    const load = epoch.driver.run({
      client,
      isOver: () => isOver || service.isDead(),
      async isExcused(code) {
        await passed(random.next() * mostPauseMs);
        return code === status.UNAVAILABLE;
      },
    });
    await passed(kill.at === "step" ? 0 : kill.afterMs);
    await postgres.kill();
    await passed(random.next() * mostDownMs);
    await postgres.restart();
    const backAt = performance.now();
    if (!(await isTrue(() => epoch.driver.hasRecoveredSince(backAt), recoverWithinMs))) {
      problem("the service does not recover");
    }
    summary.slowestRecoveryMs = Math.max(summary.slowestRecoveryMs, performance.now() - backAt);
    isOver = true;
    await load;
    if (service.isDead()) throw new Error(`the service died with its database: ${(await service.ended).err}`);
    await epoch.check(client, scope);
    countKill(summary, "database");
    report();
    if (isGivenUp(summary)) break;
  }
  await stopped(service, problem);
  const next = stage.start({ days: 0 });
  await epoch.check(await served(killing, next), { days: 0, everything: true });
  await stopped(next, problem);
}
