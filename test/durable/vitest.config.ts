/** The suite of `npm run test:durable`: what survives kills, full disks and lost power. One file at a time, as each needs the machine. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/{crash,durable}/**/*.spec.ts"],
    fileParallelism: false,
    ...everySuite,
  },
});
