import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { hung } from "./test/support/hung.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    reporters: ["default", "./test/support/summary-reporter.ts"],
    setupFiles: ["./test/support/matchers.ts"],
    // Vitest would leave a core free, and of two that is half of the time.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    ...hung,
  },
});
