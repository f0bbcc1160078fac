/** The suite of `npm run test:callers`; apart from `npm test`, as it needs Go, Python, a browser and a network of its own. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/callers/*.spec.ts"],
    // Some wait for certificates that end, others for keys that are fetched anew.
    maxWorkers: 3,
    ...everySuite,
  },
});
