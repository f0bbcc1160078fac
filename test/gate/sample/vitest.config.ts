/** Files that fail as a gate meets it, for again.process.test.ts. Like those of `npm test` they share their worker. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", "..", ".."),
    include: ["test/gate/sample/*.sample.ts"],
    isolate: false,
    maxWorkers: 1,
    ...everySuite,
  },
});
