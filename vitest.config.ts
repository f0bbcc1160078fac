import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { everySuite } from "./test/support/every-suite.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Vitest would leave a core free, and of two that is half of the time. Many tests wait for processes or for time to pass, so it is one more.
    maxWorkers: availableParallelism() + 1,
    ...everySuite,
  },
});
