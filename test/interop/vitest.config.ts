/** The suite of `npm run test:interop`; apart from `npm test`, as it needs Go and Python. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/interop/*.spec.ts"],
    fileParallelism: false,
    ...everySuite,
  },
});
