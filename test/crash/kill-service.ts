/** Kills the service: at a named step, under load, as it starts, as it destroys keys, or as it rotates them by the clock. */
import type { GrpcClient } from "../support/running-service.ts";
import { isMove, keysToMove, type Kill, nameOf } from "./plan.ts";
import type { CrashService } from "./service.ts";
import { served, stopped } from "./serving.ts";
import { countKill, isGivenUp, type Killing } from "./summary.ts";
import { isWithin } from "./waiting.ts";

const dieWithinMs = 3_000;
/** A step that is not reached is no failure: the kill comes without it. */
const stepWithinMs = 60_000;
const daysToDestruction = 31;
const daysToRotation = 2;
const swapChance = 0.3;

export async function killService(killing: Killing, plan: readonly Kill[]): Promise<void> {
  const { stage, summary, problem, epoch, report } = killing;
  let days = 0;
  for (const kill of plan) {
    const isLater = kill.at === "step" && (kill.phase === "due" || kill.phase === "rotating");
    if (isLater) {
      await settle(killing, days);
      stage.erasure?.note();
      days += kill.phase === "due" ? daysToDestruction : daysToRotation;
      if (kill.phase === "due") await stage.witness(daysToDestruction);
    }
    if (isMove(kill)) await moveAway(killing, days);
    else if (killing.random.chance(swapChance)) stage.swapProviderKeys();
    const isCalled = kill.at === "load" || (kill.at === "step" && kill.phase === "load");
    const service = stage.start({ days, kill });
    const end = await (isCalled ? dieUnderLoad(killing, service, kill, days) : dieByItself(service, kill));
    const { code, signal, step, err } = end;
    if (signal !== "SIGKILL") problem(`the service ended by itself: ${code} ${err}`);
    if (kill.at === "step" && step === undefined) problem(`step ${kill.step} was not reached ${kill.nth} times`);
    const name = step ?? nameOf(kill);
    countKill(summary, name);
    summary.missed = summary.missed.filter((missed) => missed !== step);
    report();
    if (isGivenUp(summary)) return;
  }
  const service = stage.start({ days });
  const client = await served(killing, service);
  await epoch.check(client, { days, everything: true });
  await stage.erasure?.check(epoch.checker);
  await stopped(service, problem);
}

/** Nothing is left open, some keys are scheduled to be destroyed, and then it is killed, as nothing runs. */
async function settle(killing: Killing, days: number): Promise<void> {
  const { stage, epoch } = killing;
  const service = stage.start({ days });
  const client = await served(killing, service);
  await epoch.check(client, { days, everything: false });
  await stage.erasure?.check(epoch.checker);
  await epoch.driver.scheduleSome(client);
  service.kill();
  await service.ended;
}

/** There are keys, everything is under one provider key, and the next start has the other for its current one. */
async function moveAway(killing: Killing, days: number): Promise<void> {
  const { stage, problem, epoch } = killing;
  const service = stage.start({ days });
  const client = await served(killing, service);
  await epoch.driver.makeKeys(client, keysToMove);
  await rewrapAll(client, problem);
  service.kill();
  await service.ended;
  stage.swapProviderKeys();
}

/** All but what a kill left PENDING. */
async function rewrapAll(client: GrpcClient, problem: (what: string) => void): Promise<void> {
  let pageToken = "";
  do {
    const page = await client.admin.rewrapKeys({ pageSize: 1000, pageToken });
    const errors = [page.interrupted, ...page.failed.map(({ error }) => error)].filter((error) => error !== undefined);
    for (const { message } of errors) problem(`keys are not re-wrapped: ${message}`);
    pageToken = errors.length > 0 ? "" : page.nextPageToken;
  } while (pageToken !== "");
}

async function dieUnderLoad(killing: Killing, service: CrashService, kill: Kill, days: number) {
  const { stage, epoch, problem } = killing;
  const client = await served(killing, service);
  await epoch.check(client, { days, everything: false });
  await stage.erasure?.check(epoch.checker);
  stage.arm();
  const load = epoch.driver.run({
    client,
    isOver: service.isDead,
    isExcused: () => isWithin(service.ended, dieWithinMs),
  });
  const timer = setTimeout(service.kill, kill.at === "load" ? kill.afterMs : stepWithinMs);
  const end = await service.ended;
  clearTimeout(timer);
  stage.disarm();
  await load;
  for (const line of service.errors) problem(`the log tells of an error: ${line}`);
  return end;
}

async function dieByItself(service: CrashService, kill: Kill) {
  const timer = setTimeout(service.kill, kill.at === "start" ? kill.afterMs : stepWithinMs);
  const end = await service.ended;
  clearTimeout(timer);
  return end;
}
