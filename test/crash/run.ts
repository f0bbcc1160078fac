/** Kills the service, or its database, again and again, and checks each time that nothing was lost. */
import { status } from "@grpc/grpc-js";
import { type PostgresServer, startPostgres } from "../postgres-server.ts";
import { type Epoch, emptyTotals, startEpoch, type Totals } from "./epoch.ts";
import { type Kill, nameOf, type PlanOptions, planOf, stepsOf } from "./plan.ts";
import { type Random, randomFrom } from "./random.ts";
import type { CrashService } from "./service.ts";
import { openStage, type Stage } from "./stage.ts";

export interface CrashRun extends Omit<PlanOptions, "random"> {
  seed: number;
  /** Told after each kill. */
  report?(summary: CrashSummary): void;
}

export interface CrashSummary extends Totals {
  kills: number;
  /** By step or kind. */
  killsAt: Record<string, number>;
  /** Steps at which it never died. */
  missed: string[];
  slowestStartMs: number;
  /** The longest that the service needed, once the database was back, until it used and changed keys again. */
  slowestRecoveryMs: number;
  problems: string[];
}

const mostProblems = 20;
const startWithinMs = 10_000;
const dieWithinMs = 3_000;
const stepWithinMs = 6_000;
const recoverWithinMs = 10_000;
/** Of a caller who hears that the service is unavailable. */
const mostPauseMs = 100;
const daysToDestruction = 31;
const daysToRotation = 2;

export async function crashRun({ seed, report = () => {}, ...wish }: CrashRun): Promise<CrashSummary> {
  const { target, only = stepsOf(target) } = wish;
  const random = randomFrom(seed);
  const summary: CrashSummary = {
    ...emptyTotals(),
    kills: 0,
    killsAt: {},
    missed: [...only],
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
      const stage = await openStage(postgres);
      const parts: Parts = { epoch, stage, random, summary, problem, report: () => report(summary) };
      try {
        if (target === "database") await killDatabase(parts, postgres!, plan);
        else await killService(parts, plan);
      } finally {
        stage.close();
      }
      if (summary.problems.length >= mostProblems) break;
    }
  } finally {
    await postgres?.close();
  }
  return summary;
}

interface Parts {
  epoch: Epoch;
  stage: Stage;
  random: Random;
  summary: CrashSummary;
  problem(what: string): void;
  report(): void;
}

async function killService(parts: Parts, plan: readonly Kill[]): Promise<void> {
  const { stage, summary, problem, epoch, report } = parts;
  let days = 0;
  for (const kill of plan) {
    const isLater = kill.at === "step" && (kill.phase === "due" || kill.phase === "rotating");
    if (isLater) {
      await settle(parts, days);
      stage.erasure?.note();
      days += kill.phase === "due" ? daysToDestruction : daysToRotation;
    }
    const isCalled = kill.at === "load" || (kill.at === "step" && kill.phase === "load");
    const service = stage.start({ days, kill });
    const { step } = await (isCalled ? dieUnderLoad(parts, service, kill, days) : dieByItself(service, kill));
    if (kill.at === "step" && step === undefined) problem(`step ${kill.step} was not reached ${kill.nth} times`);
    const name = step ?? nameOf(kill);
    summary.kills += 1;
    summary.killsAt[name] = (summary.killsAt[name] ?? 0) + 1;
    summary.missed = summary.missed.filter((missed) => missed !== step);
    report();
    if (summary.problems.length >= mostProblems) return;
  }
  const service = stage.start({ days });
  const client = await served(parts, service);
  await epoch.check(client, { days, everything: true });
  await stage.erasure?.check(epoch.checker);
  await stopped(service, problem);
}

/** Nothing is left open, some keys are scheduled to be destroyed, and then it is killed, as nothing runs. */
async function settle(parts: Parts, days: number): Promise<void> {
  const { stage, epoch } = parts;
  const service = stage.start({ days });
  const client = await served(parts, service);
  await epoch.check(client, { days, everything: false });
  await stage.erasure?.check(epoch.checker);
  await epoch.driver.scheduleSome(client);
  service.kill();
  await service.ended;
}

async function dieUnderLoad(parts: Parts, service: CrashService, kill: Kill, days: number) {
  const { stage, epoch, problem } = parts;
  const client = await served(parts, service);
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
  if (end.signal !== "SIGKILL") problem(`the service ended by itself: ${end.code} ${end.err}`);
  return end;
}

async function dieByItself(service: CrashService, kill: Kill) {
  const timer = setTimeout(service.kill, kill.at === "start" ? kill.afterMs : stepWithinMs);
  const end = await service.ended;
  clearTimeout(timer);
  return end;
}

/** The service goes on, while its database dies and comes back. */
async function killDatabase(parts: Parts, postgres: PostgresServer, plan: readonly Kill[]): Promise<void> {
  const { stage, epoch, random, summary, problem, report } = parts;
  const scope = { days: 0, everything: false };
  const service = stage.start({ days: 0 });
  const client = await served(parts, service);
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
    await passed(random.next() * 500);
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
    summary.kills += 1;
    summary.killsAt.database = (summary.killsAt.database ?? 0) + 1;
    report();
    if (summary.problems.length >= mostProblems) break;
  }
  await stopped(service, problem);
  const next = stage.start({ days: 0 });
  await epoch.check(await served(parts, next), { days: 0, everything: true });
  await stopped(next, problem);
}

/** Its client, once it serves. */
async function served({ summary }: Parts, service: CrashService) {
  const startedAt = performance.now();
  const timer = setTimeout(service.kill, startWithinMs);
  const client = await service.ready;
  clearTimeout(timer);
  if (client === undefined) {
    const { code, signal, err } = await service.ended;
    throw new Error(`after kill ${summary.kills} the service does not start: ${code ?? signal} ${err}`);
  }
  summary.slowestStartMs = Math.max(summary.slowestStartMs, performance.now() - startedAt);
  return client;
}

async function stopped(service: CrashService, problem: (what: string) => void): Promise<void> {
  service.stop();
  const { code, signal, err } = await service.ended;
  if (code !== 0) problem(`the service did not stop in good order: ${code ?? signal} ${err}`);
}

function isWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  return Promise.race([promise.then(() => true), passed(ms).then(() => false)]);
}

async function isTrue(condition: () => boolean, ms: number): Promise<boolean> {
  const until = performance.now() + ms;
  while (!condition() && performance.now() < until) await passed(10);
  return condition();
}

function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
