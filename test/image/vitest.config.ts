/** The suite of `npm run test:image`; apart from `npm test`, as it builds the image, twice. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/image/*.spec.ts"],
    ...everySuite,
    globalSetup: [...everySuite.globalSetup, "./test/image/unpacked.ts"],
  },
});
