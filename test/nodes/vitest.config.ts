/** The suite of `npm run test:nodes`: the service under another Node. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/nodes/**/*.spec.ts"],
    ...everySuite,
  },
});
