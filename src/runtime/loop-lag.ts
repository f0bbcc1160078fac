/** How late and how busy the event loop is: what a stall of it, or a flood of work, does to every call. */
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import type { Time } from "./time.ts";

export interface LoopLag {
  /** Delays in the last 15 to 30 s; the percentile 100 is the longest. */
  percentiles(): { percentile: number; seconds: number }[];
  /** Part of the last 15 to 30 s in which the loop worked: 0 to 1. */
  utilization(): number;
  close(): void;
}

const resolutionMs = 20;
const windowMs = 15_000;
const percentiles = [50, 99, 100];

export function startLoopLag(time: Time): LoopLag {
  // Two in turn, so that what is read never began a moment ago.
  const histograms = [
    monitorEventLoopDelay({ resolution: resolutionMs }),
    monitorEventLoopDelay({ resolution: resolutionMs }),
  ];
  for (const histogram of histograms) histogram.enable();
  const worked = [performance.eventLoopUtilization(), performance.eventLoopUtilization()];
  const timer = time.every(windowMs, () => {
    histograms.push(histograms.shift()!);
    histograms[1]!.reset();
    worked.shift();
    worked.push(performance.eventLoopUtilization());
  });
  return {
    percentiles: () =>
      percentiles.map((percentile) => {
        // What is measured is the time between two looks.
        const ms = histograms[0]!.count === 0 ? 0 : histograms[0]!.percentile(percentile) / 1e6 - resolutionMs;
        return { percentile, seconds: Math.max(0, ms) / 1_000 };
      }),
    utilization: () => performance.eventLoopUtilization(worked[0]).utilization,
    close() {
      time.clear(timer);
      for (const histogram of histograms) histogram.disable();
    },
  };
}
