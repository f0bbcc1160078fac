/** The process: its event loop, memory, processor time and descriptors. */
import { readdirSync, readFileSync } from "node:fs";
import { totalmem } from "node:os";
import type { Time } from "../runtime/time.ts";
import type { GcTime } from "../runtime/gc-time.ts";
import type { LoopLag } from "../runtime/loop-lag.ts";
import type { Observer } from "./read-metrics.ts";

export interface ProcessParts {
  loopLag: Pick<LoopLag, "percentiles" | "utilization">;
  gcTime: Pick<GcTime, "seconds">;
  time: Time;
}

export function observeProcess(observer: Observer, { loopLag, gcTime, time }: ProcessParts): void {
  const { gauge, seconds, counter } = observer;
  seconds("nodejs_eventloop_lag_seconds", "Delay of the event loop in the last half minute, by percentile", () =>
    // promtool wants the label quantile in summaries alone, which count since the start of the process.
    loopLag.percentiles().map(({ percentile, seconds: late }) => [late, { percentile: String(percentile) }] as const),
  );
  gauge("nodejs_eventloop_utilization", "Part of the last half minute in which the event loop worked", () =>
    loopLag.utilization(),
  );
  counter("nodejs_gc_seconds_total", "Time that garbage collections took, by kind", () =>
    Object.entries(gcTime.seconds()).map(([kind, took]) => [took, { kind }] as const),
  );
  counter("process_cpu_seconds_total", "Processor time used", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  const startedAt = time.now().getTime() / 1_000 - process.uptime();
  seconds("process_start_time_seconds", "When the process started", () => startedAt);
  observeMemory(observer);
  observeDescriptors(observer);
}

function observeMemory({ gauge }: Observer): void {
  gauge("process_resident_memory_bytes", "Memory of the process in RAM", () => process.memoryUsage.rss());
  gauge("kms_memory_limit_bytes", "Memory that the process may have: of its control group, or the machine", () =>
    // Without a limit, Node gives 0 or a number beyond all memory.
    Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem()),
  );
  gauge("nodejs_heap_bytes", "Bytes of the heap of JavaScript that are used", () => process.memoryUsage().heapUsed);
  gauge("nodejs_external_bytes", "Bytes outside of the heap that its objects hold, buffers among them", () => {
    return process.memoryUsage().external;
  });
}

/** Left out where the system does not tell. */
function observeDescriptors({ gauge }: Observer): void {
  gauge("process_open_fds", "Open descriptors", () => readable(() => readdirSync("/proc/self/fd").length));
  const [, most] = readable(() => /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))) ?? [];
  gauge("process_max_fds", "Descriptors that the process may open", () =>
    most === undefined ? undefined : Number(most),
  );
}

function readable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
