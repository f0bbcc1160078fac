/**
 * Each file of `npm test` by itself, in a process of its own: for `npm run test:all`. Vitest prints the seed of the order of files;
 * TEST_SEED repeats one.
 */
import { randomInt } from "node:crypto";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { configDefaults, defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, "test/**/*.process.test.ts"],
    pool: "forks",
    isolate: true,
    sequence: { shuffle: { files: true, tests: false }, seed: Number(process.env.TEST_SEED ?? randomInt(2 ** 31)) },
    maxWorkers: availableParallelism(),
    ...everySuite,
  },
});
