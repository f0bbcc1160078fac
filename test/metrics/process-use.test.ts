import { existsSync } from "node:fs";
import { totalmem } from "node:os";
import { expect, it, onTestFinished } from "vitest";
import { observeProcess } from "../../src/metrics/process-use.ts";
import { startGcTime } from "../../src/runtime/gc-time.ts";
import { startLoopLag } from "../../src/runtime/loop-lag.ts";
import { exportedBy, linesOf, testObserver } from "../support/exported-metrics.ts";
import { msFromNow } from "../support/from-now.ts";
import { realTime } from "../../src/runtime/time.ts";

async function valuesOf(): Promise<(name: string) => number> {
  const parts = { loopLag: startLoopLag(realTime), gcTime: startGcTime() };
  onTestFinished(() => {
    for (const part of Object.values(parts)) part.close();
  });
  const lines = await exportedBy(({ meter }) => observeProcess(testObserver(meter), { ...parts, time: realTime }));
  return (name) => Number(linesOf(lines, name)[0]?.split(" ")[1]);
}

it("tells memory within what there may be, and processor time since a start that was before now", async () => {
  const value = await valuesOf();
  const [resident, limit] = [value("process_resident_memory_bytes"), value("kms_memory_limit_bytes")];
  expect(resident).toBeGreaterThan(value("nodejs_heap_bytes"));
  expect(value("nodejs_heap_bytes")).toBeGreaterThan(1_000_000);
  expect(value("nodejs_external_bytes")).toBeGreaterThan(0);
  expect(limit).toBeGreaterThan(resident);
  expect(limit).toBeLessThanOrEqual(totalmem());
  expect(value("process_cpu_seconds_total")).toBeGreaterThan(0);
  expect(Math.abs(value("process_start_time_seconds") - (msFromNow(0) / 1_000 - process.uptime()))).toBeLessThan(5);
  expect(value("nodejs_eventloop_utilization")).toBeGreaterThanOrEqual(0);
  expect(value("nodejs_eventloop_utilization")).toBeLessThanOrEqual(1);
});

it.runIf(existsSync("/proc/self/fd"))("tells open descriptors, and how many there may be", async () => {
  const value = await valuesOf();
  expect(value("process_open_fds")).toBeGreaterThan(3);
  expect(value("process_max_fds")).toBeGreaterThan(value("process_open_fds"));
});
