/** One outage from its beginning to well after its end, under load, and what was seen of it. */
import { setTimeout as delay } from "node:timers/promises";
import { summary } from "../durable/load.ts";
import { hungMs } from "../support/hung.ts";
import { coldOperations, firstCalls, keyOperations, loadLoop, type Made } from "./load-loop.ts";
import { begin, isTotal, type Mode } from "./modes.ts";
import { type Held, type OutageService, statusWhere } from "./service.ts";

export interface OutageReport {
  mode: Mode;
  /** Of the outage. */
  seconds: number;
  /** On keys that were cached when it began. */
  cached: readonly Made[];
  /** On tenants that were never heard of, begun while the breaker was open. */
  coldWhileOpen: readonly Made[];
  /** Likewise before it opened, and all of them where it never does. */
  coldBefore: readonly Made[];
  /** From the outage's beginning to the breaker's opening; undefined where it stayed closed. */
  openedAfterMs: number | undefined;
  openForMs: number;
  /** Tries at the provider while the breaker was open, by the service's own count, and what came through to the fake. */
  probes: number;
  arrived: Readonly<Record<string, number>>;
  /** From the outage's end to the first cold key. */
  recoveredAfterMs: number;
  before: Held;
  after: Held;
}

export interface OutageRun {
  service: OutageService;
  mode: Mode;
  seconds: number;
  tenants?: number;
  perSecond?: number;
  coldPerSecond?: number;
}

/** Caches and connections are as they will be. */
const settleMs = 5_500;

/** Time from the breaker's opening to the outage's end, at least: some calls must meet it open. */
const openAtLeastMs = 2_000;

/** With `kms.cache.ttl` at 5 s every key expires, and is asked for anew, several times. */
export async function runOutage({
  service,
  mode,
  seconds,
  tenants = 50,
  perSecond = 200,
  coldPerSecond = 2,
}: OutageRun): Promise<OutageReport> {
  const { kms, held } = service;
  const [fake] = service.fakes;
  const tenantIds = Array.from({ length: tenants }, (_, index) => `tenant-${index}`);
  const operations = keyOperations(await firstCalls(kms, tenantIds));
  const load = loadLoop({ kms, perSecond, operations, tenant: (turn) => tenantIds[turn % tenants]! });
  await delay(settleMs);
  const before = await held();

  await begin(mode, fake);
  const beganMs = performance.now();
  const cold = loadLoop({
    kms,
    perSecond: coldPerSecond,
    operations: coldOperations,
    tenant: (turn) => `cold-${turn}`,
  });
  const opened = isTotal(mode) ? await untilOpen(service) : undefined;
  const openedMs = performance.now();
  const logged = fake.log.length;
  const endsMs = Math.max(beganMs + seconds * 1_000, openedMs + openAtLeastMs);
  await delay(endsMs - performance.now());
  const probes = opened && (await describes(service)) - opened.describes;
  // The outage lasts until they have ended: a call that waits in the service as it ends would be answered with a key.
  const coldMade = await cold.stop();
  const arrived = fake.log.slice(logged);
  await fake.heal();
  const endedMs = performance.now();
  const recoveredAfterMs = (await firstCold(service)) - endedMs;

  await delay(settleMs);
  const cached = await load.stop();
  await delay(500);
  const wasOpen = ({ atMs }: Made) => opened !== undefined && atMs >= openedMs;
  return {
    mode,
    seconds,
    cached,
    coldWhileOpen: coldMade.filter(wasOpen),
    coldBefore: coldMade.filter((made) => !wasOpen(made)),
    openedAfterMs: opened && openedMs - beganMs,
    openForMs: opened ? endedMs - opened.sinceMs : 0,
    probes: probes ?? 0,
    arrived: opened ? countBy(arrived.map(({ operation }) => operation)) : {},
    recoveredAfterMs,
    before,
    after: await held(),
  };
}

/** `sinceMs` is before the first Status that saw it open was asked for, however late that was answered. */
async function untilOpen({ kms }: OutageService): Promise<{ describes: number; sinceMs: number }> {
  let sinceMs = performance.now();
  const isOpen = ({ breakers }: { breakers: readonly { state: string }[] }) => {
    if (breakers[0]?.state !== "closed") return true;
    sinceMs = performance.now();
    return false;
  };
  const status = await statusWhere(kms, isOpen);
  if (status === undefined) throw new Error("the breaker did not open");
  return { describes: Number(status.cost?.providerCalls.describe ?? 0), sinceMs };
}

async function describes({ kms }: OutageService): Promise<number> {
  return Number((await kms.status({})).cost?.providerCalls.describe ?? 0);
}

/** When a key was made for somebody new. */
async function firstCold({ kms }: OutageService): Promise<number> {
  const endsAt = performance.now() + hungMs;
  for (let turn = 0; performance.now() < endsAt; turn += 1) {
    const isMade = await kms.generateDataKey({ tenantId: `recovered-${turn}` }).then(
      () => true,
      () => false,
    );
    if (isMade) return performance.now();
    await delay(50);
  }
  return Number.POSITIVE_INFINITY;
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** By outcome, failures alone. */
export function failuresOf(made: readonly Made[]): Record<string, number> {
  return countBy(made.filter(({ outcome }) => outcome !== "OK").map(({ name, outcome }) => `${name} ${outcome}`));
}

export function quantile(made: readonly Made[], share: number): number {
  const sorted = made.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** A table, a line a kind of call, and what else was seen. */
export function described(report: OutageReport): string {
  const { mode, seconds, cached, coldBefore, coldWhileOpen, before, after } = report;
  const lines = [...new Set(cached.map(({ name }) => name))].map((name) =>
    line(
      name,
      cached.filter((made) => made.name === name),
    ),
  );
  const opened =
    report.openedAfterMs === undefined ? "the breaker stayed closed" : `open after ${ms(report.openedAfterMs)}`;
  return [
    `${mode}, ${seconds} s: ${opened}, recovered after ${ms(report.recoveredAfterMs)}`,
    ...lines,
    line("all cached", cached),
    line("cold, not open", coldBefore),
    line("cold, open", coldWhileOpen),
    `  probes ${report.probes} in ${ms(report.openForMs)}, arrived ${JSON.stringify(report.arrived)}`,
    `  before ${heldWords(before)}; after ${heldWords(after)}`,
  ].join("\n");
}

export function line(name: string, made: readonly Made[]): string {
  const { count, p50, p99, max } = summary(made.map((each) => each.ms));
  const failed = made.filter(({ outcome }) => outcome !== "OK").length;
  const [a, b, c] = [p50, p99, max].map((value) => value.toFixed(1).padStart(8));
  return `  ${name.padEnd(16)} ${String(count).padStart(7)} calls ${String(failed).padStart(5)} failed  p50 ${a}  p99 ${b}  max ${c} ms`;
}

function heldWords({ rssMb, liveMb, handles, connections }: Held): string {
  return `${rssMb.toFixed(0)} MB resident, ${liveMb.toFixed(1)} MB live, ${handles} handles, ${connections} connections`;
}

function ms(value: number): string {
  return `${value.toFixed(0)} ms`;
}
