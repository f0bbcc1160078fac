/** The suite of `npm run test:package`: the package's files, and tests of this tree that are run against it. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/package/**/*.spec.ts", "test/cli/**/*.test.ts", "test/restart.process.test.ts"],
    exclude: ["test/cli/**/*.process.test.ts"],
    ...everySuite,
    globalSetup: [...everySuite.globalSetup, "./test/package/pack.ts"],
  },
});
