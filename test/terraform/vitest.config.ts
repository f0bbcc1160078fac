/** The suite of `npm run test:terraform`; apart from `npm test`, as it needs Terraform, its AWS provider and Python. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/terraform/*.spec.ts"],
    maxWorkers: 2, // the one mostly waits: Terraform's provider, until AWS says the same several times over
    ...everySuite,
  },
});
