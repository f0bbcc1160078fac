/** One flood measured: a client beside an idle core, beside the flood, and beside an idle core again. */
import { setTimeout as pause } from "node:timers/promises";
import type { Flood } from "./all.ts";
import { type FloodedService, startFlooded } from "./flooded-service.ts";
import { type Healthy, runProgram, type Sent } from "./program.ts";

export interface Slices {
  floodedSeconds: number;
  idleSeconds: number;
}

export interface Measured {
  name: string;
  sent: Sent;
  /** Before and after. */
  idle: readonly [Healthy, Healthy];
  flooded: Healthy;
  /** Most resident memory in the flood, above that before it. */
  grownMiB: number;
  /** Cores that the service kept busy in the flood. */
  cores: number;
  /** Lines of the service's log in the flood. */
  logLines: number;
  problems: readonly string[];
}

/** Loopback addresses: the limits go by address. */
const [attacker, client] = ["127.0.0.1", "127.0.0.2"];
const sampleMs = 100;
/** So that compiled code is measured. */
const warmCalls = 500;
/** The flood begins before the client and ends after it. */
const aheadSeconds = 0.3;
const MiB = 1024 * 1024;

const mostRatio = 2;
const mostGrownMiB = 64;

export async function measureFlood(name: string, flood: Flood, slices: Slices): Promise<Measured> {
  const service = await startFlooded();
  const problems: string[] = [];
  const idle = async () => {
    const [healthy] = await Promise.all([
      call(service, slices.idleSeconds),
      attack(service, "idle", slices.idleSeconds),
    ]);
    return healthy;
  };
  try {
    problems.push(...(await service.problems()).map((text) => `before the flood: ${text}`));
    const before = await idle();
    const [threads, lines, cpuMs] = [service.threads(), service.log.length, service.cpuMs()];
    const memory = sampleMemory(service);
    const seconds = slices.floodedSeconds + 2 * aheadSeconds;
    const sending = attack(service, flood.attack, seconds, {
      ...flood.options,
      ...(flood.authorized && { "token-file": service.tokenFiles.other }),
    });
    await pause(aheadSeconds * 1_000);
    const flooded = await call(service, slices.floodedSeconds);
    const sent = (await sending) as Sent;
    const [grownMiB, cores] = [memory.end() / MiB, (service.cpuMs() - cpuMs) / seconds / 1_000];
    const logLines = service.log.length - lines;
    const after = await idle();
    problems.push(...(await service.problems()));
    const left = service.threads();
    if (left < threads) problems.push(`${left} threads are left of ${threads}`);
    return { name, sent, idle: [before, after], flooded, grownMiB, cores, logLines, problems };
  } finally {
    await service.stop().catch((error) => problems.push(String(error)));
  }
}

function attack(service: FloodedService, name: string, seconds: number, options: Flood["options"] = {}) {
  return runProgram(name, { ...service.options, from: attacker, seconds, ...options });
}

async function call(service: FloodedService, seconds: number): Promise<Healthy> {
  const options = { from: client, seconds, warm: warmCalls, "token-file": service.tokenFiles.healthy };
  return (await runProgram("healthy", { ...service.options, ...options })) as Healthy;
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

export function medianOf(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
}

const failedCalls = ({ failures }: Healthy) => Object.values(failures).reduce((sum, count) => sum + count, 0);
const milliseconds = (value: number) => value.toFixed(value < 100 ? 2 : 0);

export function rowOf({ sent, flooded, idle, ...rest }: Measured, idleP99Ms: number): Record<string, string> {
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
    ratio: (flooded.p99Ms / idleP99Ms).toFixed(2),
    "failed calls": `${failedCalls(flooded)} of ${flooded.count}`,
    "+ MiB": rest.grownMiB.toFixed(0),
    cores: rest.cores.toFixed(2),
    "log lines": String(rest.logLines),
    "closed by the service": texts((name) => name.startsWith("closed: ")),
  };
}

/** What is judged of a flood, and what is wrong with it if anything is. */
export function judgementsOf(measured: Measured, idleP99Ms: number): { problem: string | undefined }[] {
  const { flooded, grownMiB, problems } = measured;
  const ratio = flooded.p99Ms / idleP99Ms;
  const failed = failedCalls(flooded);
  const failures = `${JSON.stringify(flooded.failures)} ${flooded.reason}`;
  const check = (holds: boolean, problem: string) => ({ problem: holds ? undefined : problem });
  return [
    check(
      ratio <= mostRatio,
      `p99 is ${milliseconds(flooded.p99Ms)} ms, ${ratio.toFixed(1)} times that of ${milliseconds(idleP99Ms)}`,
    ),
    check(failed === 0, `${failed} of ${flooded.count} calls failed: ${failures}`),
    check(grownMiB <= mostGrownMiB, `memory grew by ${grownMiB.toFixed(0)} MiB`),
    check(problems.length === 0, problems.join("; ")),
  ];
}
