/** What a process holds in memory, by Linux. */
import { existsSync, readFileSync } from "node:fs";

export interface Resident {
  /** MiB. When it was begun to be watched. */
  before: number;
  /** The most of all samples. */
  sampled: number;
  /** The most that there ever was, by the kernel. */
  kernel: number;
}

const everyMs = 20;

export const canWatch = existsSync("/proc/self/status");

export interface Watch {
  /** So far. */
  resident(): Resident;
  stop(): void;
}

export function watchMemory(pid: number): Watch {
  const before = field(pid, "VmRSS");
  let sampled = before;
  const timer = setInterval(() => {
    sampled = Math.max(sampled, field(pid, "VmRSS"));
  }, everyMs);
  return {
    resident: () => ({ before, sampled, kernel: field(pid, "VmHWM") }),
    stop: () => clearInterval(timer),
  };
}

function field(pid: number, name: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)![1]) / 1024;
}
