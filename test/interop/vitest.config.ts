/** The suite of `npm run test:interop`; apart from `npm test`, as it needs Go and Python. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { hung } from "../support/hung.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/interop/*.spec.ts"],
    reporters: ["default", "./test/support/summary-reporter.ts"],
    setupFiles: ["./test/support/matchers.ts"],
    fileParallelism: false,
    ...hung,
  },
});
