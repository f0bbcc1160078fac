/** The tests of this package. Those of the exports' form need `node clients/typescript/build.ts` to have run. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["test/**/*.test.ts"],
    reporters: ["default", "../../test/support/summary-reporter.ts"],
    // All mean "hung", never "slow".
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 120_000 } },
  },
});
