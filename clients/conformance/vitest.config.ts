/** The specs of `npm run test:clients`; apart from `npm test`, as they need the tools of six languages. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { hung } from "../../test/support/hung.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["clients/conformance/*.spec.ts"],
    reporters: ["default", "./test/support/summary-reporter.ts"],
    globalSetup: ["./test/support/temporary-folder.ts"],
    setupFiles: ["./test/support/matchers.ts"],
    // Most of the work is done by the programs, a process each.
    maxWorkers: 2,
    ...hung,
  },
});
