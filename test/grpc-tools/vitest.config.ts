/** The suite of `npm run test:grpc-tools`; apart from `npm test`, as it needs Go. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { hung } from "../support/hung.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/grpc-tools/*.spec.ts"],
    reporters: ["default", "./test/support/summary-reporter.ts"],
    ...hung,
  },
});
