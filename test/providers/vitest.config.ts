/**
 * The suite of `npm run test:providers`; apart from `npm test`, as it takes minutes and needs servers that are installed with other
 * languages' tools.
 */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";
import { isShortRun } from "../support/short-option.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    // The contracts of gcp and azure, of whom there are only fakes, are in npm test too.
    include: ["test/{providers,outage}/*.spec.ts", "test/provider/{gcp,azure}/contract.test.ts"],
    fileParallelism: false,
    ...everySuite,
    env: { ...everySuite.env, ...(!isShortRun() && { TEST_EVERY_BIT: "1" }) },
  },
});
