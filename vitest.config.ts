import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    reporters: ["default", "./test/support/summary-reporter.ts"],
    setupFiles: ["./test/support/matchers.ts"],
    // Vitest would leave a core free, and of two that is half of the time.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // All three mean "hung", never "slow": no test may fail because the machine does other work.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 120_000 } },
  },
});
