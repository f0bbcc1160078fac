/** The suite of `npm run test:monitoring`; apart from `npm test`, as it needs Prometheus and a Collector, and waits for alerts. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/monitoring/*.spec.ts"],
    // Nearly all of the time is spent waiting, so all files run at once.
    maxWorkers: 6,
    // Of the causes of alerts: more at once have services wait for the processor, fewer leave it idle.
    maxConcurrency: 10,
    ...everySuite,
  },
});
