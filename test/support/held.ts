/** What the service holds, which is started with `liveMemory` among its preloads. Linux tells of its memory and files. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ServiceProcess } from "./service-process.ts";

export interface Held {
  /** MiB of JavaScript in all threads, after their garbage was collected. */
  liveMb: number;
  /** MiB. */
  rssMb: number;
  /** Open files and sockets. */
  handles: number;
}

export const canMeasure = existsSync("/proc/self/status");

export const liveMemory = join(import.meta.dirname, "live-memory.ts");

export async function heldBy(service: ServiceProcess): Promise<Held> {
  return {
    liveMb: await liveMb(service),
    rssMb: statusMb(service, "VmRSS"),
    handles: readdirSync(`/proc/${service.child.pid}/fd`).length,
  };
}

/** MiB that were resident at most. */
export function peakMb(service: ServiceProcess): number {
  return statusMb(service, "VmHWM");
}

function statusMb({ child }: ServiceProcess, name: "VmHWM" | "VmRSS"): number {
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
  return Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)![1]) / 1024;
}

async function liveMb({ child, log }: ServiceProcess): Promise<number> {
  const from = log.length;
  child.kill("SIGUSR2");
  for (;;) {
    const line = log.slice(from).find((each) => each.startsWith('{"liveBytes"'));
    if (line !== undefined) {
      const bytes: number[] = JSON.parse(line).liveBytes;
      return bytes.reduce((sum, each) => sum + each, 0) / 2 ** 20;
    }
    await delay(20);
  }
}
