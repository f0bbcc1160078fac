/** The suite of `npm run test:page`; apart from `npm test`, as it needs a browser. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/page/*.spec.ts"],
    ...everySuite,
  },
});
