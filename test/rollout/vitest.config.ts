/** The suite of `npm run test:rollout`: callers of HTTP while replicas are replaced as Kubernetes does it. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/rollout/**/*.spec.ts"],
    ...everySuite,
  },
});
