/** The suite of `npm run test:unit`; apart from `npm test`, as it needs tools of systemd, and runc. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/systemd/*.spec.ts"],
    ...everySuite,
  },
});
