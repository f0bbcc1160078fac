import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { everySuite } from "./test/support/every-suite.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Vitest would leave a core free, and of two that is half of the time.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    ...everySuite,
  },
});
