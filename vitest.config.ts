import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    reporters: ["default", "./test/summary-reporter.ts"],
    setupFiles: ["./test/matchers.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
