/** The suite of `npm run test:bulk`: many streams at once, good ones and bad ones. One file at a time, as each needs the machine. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/bulk-streams/**/*.spec.ts"],
    fileParallelism: false,
    ...everySuite,
  },
});
