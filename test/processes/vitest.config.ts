/** The suite of `npm run test:processes`: what kills, fills a disk, restarts, waits for seconds or opens many connections. */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/**/*.process.test.ts"],
    // These wait for processes and for time to pass, so there are three more than cores.
    maxWorkers: availableParallelism() + 3,
    ...everySuite,
  },
});
