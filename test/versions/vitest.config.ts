/** The suite of `npm run test:versions`: an earlier version of the service beside this one. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/versions/**/*.spec.ts"],
    ...everySuite,
  },
});
