/** The suite of `npm run test:chart`; apart from `npm test`, as it needs Helm and the schemas of Kubernetes. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/chart/*.spec.ts"],
    ...everySuite,
  },
});
