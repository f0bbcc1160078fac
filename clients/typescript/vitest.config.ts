/** The tests of this package. Those of the exports' form need `node clients/typescript/build.ts` to have run. */
import { defineConfig } from "vitest/config";
import { hung } from "../../test/support/hung.ts";

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["test/**/*.test.ts"],
    reporters: ["default", "../../test/support/summary-reporter.ts"],
    maxWorkers: 2, // a file waits while its service works
    ...hung,
  },
});
