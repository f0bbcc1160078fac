/** One flood measured: a client beside an idle core, beside the flood, and beside an idle core again. */
import { medianOf } from "../support/median.ts";
import type { Flood } from "./all.ts";
import { type FloodedService, startFlooded } from "./flooded-service.ts";
import { type Healthy, type Sent, startProgram } from "./program.ts";

export interface Slices {
  floodedSeconds: number;
  idleSeconds: number;
  /** Connections that a flood opens a second; 0: as many as it can. */
  pace: number;
}

export interface Measured {
  name: string;
  sent: Sent;
  /** Slices before and after the flood. */
  idle: readonly [Healthy, Healthy];
  flooded: Healthy;
  /** Most resident memory in the flood, above that before it. */
  grownMiB: number;
  /** Cores that the service kept busy in the flood. */
  cores: number;
  /** CPU that the flood took, beyond what the slices beside it have in as many seconds. */
  cpuSeconds: number;
  mostCpuSeconds: number | undefined;
  /** Lines of the service's log in the flood. */
  logLines: number;
  problems: readonly string[];
}

/** Loopback addresses: the limits go by address. */
const [attacker, client] = ["127.0.0.4", "127.0.0.2"];
const sampleMs = 100;
/** So that compiled code is measured. */
const warmCalls = 300;
const MiB = 1024 * 1024;

const mostGrownMiB = 64;
/** Time for which {@link Flood.mostCpuSeconds} holds. */
const cpuBoundSeconds = 15;

export async function measureFlood(
  name: string,
  flood: Flood,
  { floodedSeconds, idleSeconds, pace }: Slices,
): Promise<Measured> {
  const service = await startFlooded();
  const problems: string[] = [];
  try {
    problems.push(...(await service.problems()).map((text) => `before the flood: ${text}`));
    const before = await slice(service, { attack: "idle" }, idleSeconds);
    const [threads, lines] = [service.threads(), service.log.length];
    const memory = sampleMemory(service);
    const paced = { ...flood, options: { pace, ...flood.options } };
    const { healthy: flooded, sent, cores } = await slice(service, paced, floodedSeconds);
    const grownMiB = memory.end() / MiB;
    const logLines = service.log.length - lines;
    const after = await slice(service, { attack: "idle" }, idleSeconds);
    const idleCores = (before.cores + after.cores) / 2;
    problems.push(...(await service.problems()));
    const left = service.threads();
    if (left < threads) problems.push(`${left} threads are left of ${threads}`);
    const idle = [before.healthy, after.healthy] as const;
    const cpuSeconds = (cores - idleCores) * floodedSeconds;
    const mostCpuSeconds = flood.mostCpuSeconds && flood.mostCpuSeconds * Math.max(1, floodedSeconds / cpuBoundSeconds);
    return { name, sent, idle, flooded, grownMiB, cores, cpuSeconds, mostCpuSeconds, logLines, problems };
  } finally {
    await service.stop().catch((error) => problems.push(String(error)));
  }
}

/** The client is connected and warm when the flood begins, so that what a flood does at first counts. */
async function slice(service: FloodedService, flood: Flood, seconds: number) {
  const { options, tokenFiles } = service;
  const calls = { from: client, seconds, warm: warmCalls, "token-file": tokenFiles.healthy };
  const calling = startProgram("healthy", { ...options, ...calls });
  await calling.ready;
  const token = flood.authorized ? { "token-file": tokenFiles.other } : {};
  const flooding = startProgram(flood.attack, { ...options, from: attacker, seconds, ...flood.options, ...token });
  calling.begin();
  const cpuMs = service.cpuMs();
  const [healthy, sent] = await Promise.all([calling.ended, flooding.ended]);
  const cores = (service.cpuMs() - cpuMs) / seconds / 1_000;
  return { healthy: healthy as Healthy, sent: sent as Sent, cores };
}

function sampleMemory({ memoryBytes }: FloodedService): { end(): number } {
  const before = memoryBytes();
  let most = before;
  const look = () => {
    most = Math.max(most, memoryBytes());
  };
  const timer = setInterval(look, sampleMs);
  return {
    end() {
      clearInterval(timer);
      return most - before;
    },
  };
}

const failedCalls = ({ failures }: Healthy) => Object.values(failures).reduce((sum, count) => sum + count, 0);
const milliseconds = (value: number) => value.toFixed(value < 100 ? 2 : 0);

/** The p99 under the flood, by that of the slices beside it in the same run. */
export function ratioOf({ flooded, idle }: Measured): number {
  return flooded.p99Ms / medianOf(idle.map(({ p99Ms }) => p99Ms));
}

export function rowOf(measured: Measured): Record<string, string> {
  const { sent, flooded, idle, ...rest } = measured;
  const texts = (fits: (name: string) => boolean) =>
    Object.entries(sent)
      .filter(([name]) => fits(name))
      .map(([name, count]) => `${count} ${name.replace(/^closed: /, "")}`)
      .join(", ");
  return {
    sent: texts((name) => !name.startsWith("closed: ")),
    "p50 idle": milliseconds(medianOf(idle.map(({ p50Ms }) => p50Ms))),
    "p99 idle": milliseconds(medianOf(idle.map(({ p99Ms }) => p99Ms))),
    "p50 flooded": milliseconds(flooded.p50Ms),
    "p99 flooded": milliseconds(flooded.p99Ms),
    "max flooded": milliseconds(flooded.maxMs),
    "new flooded": milliseconds(flooded.newMs),
    ratio: ratioOf(measured).toFixed(2),
    "failed calls": `${failedCalls(flooded)} of ${flooded.count}`,
    "+ MiB": rest.grownMiB.toFixed(0),
    cores: rest.cores.toFixed(2),
    "CPU s": rest.cpuSeconds.toFixed(2),
    "log lines": String(rest.logLines),
    "closed by the service": texts((name) => name.startsWith("closed: ")),
  };
}

/** Problems of one judgement, none if it holds. */
export interface Judgement {
  problem: string | undefined;
}

/** Judges what must hold in each run: no call fails, memory does not grow, and nothing is broken. */
export function judgementsOf({ flooded, grownMiB, problems }: Measured): Judgement[] {
  const failed = failedCalls(flooded);
  const failures = `${JSON.stringify(flooded.failures)} ${flooded.reason}`;
  return [
    judged(failed === 0, `${failed} of ${flooded.count} calls failed: ${failures}`),
    judged(grownMiB <= mostGrownMiB, `memory grew by ${grownMiB.toFixed(0)} MiB`),
    judged(problems.length === 0, problems.join("; ")),
  ];
}

/** Judges rates of one flood by the median of its runs. */
export function rateJudgementsOf(runs: readonly Measured[], mostRatio: number): Judgement[] {
  const mostCpuSeconds = runs[0]?.mostCpuSeconds;
  const [ratios, cpu] = [runs.map(ratioOf), runs.map(({ cpuSeconds }) => cpuSeconds)];
  const samples = (values: readonly number[]) => values.map((each) => each.toFixed(2)).join(", ");
  return [
    judged(
      mostCpuSeconds !== undefined || medianOf(ratios) <= mostRatio,
      `p99 is ${samples(ratios)} times that beside an idle core`,
    ),
    judged(medianOf(cpu) <= (mostCpuSeconds ?? Number.POSITIVE_INFINITY), `it took ${samples(cpu)} s of CPU`),
  ];
}

function judged(holds: boolean, problem: string): Judgement {
  return { problem: holds ? undefined : problem };
}
