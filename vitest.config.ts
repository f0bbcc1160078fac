/**
 * The suite of `npm test`. Its files share the modules of their worker, so each must undo what it changes outside of itself. A few judge
 * what is left in a whole process, and get one each.
 */
import { availableParallelism } from "node:os";
import { configDefaults, defineConfig } from "vitest/config";
import { everySuite } from "./test/support/every-suite.ts";

const alone = [
  "test/audit/verify-trail.test.ts",
  "test/encoding/json.test.ts",
  "test/runtime/compact-map.test.ts",
  "test/transport/grpc/http2/compression.test.ts",
  "test/transport/listening.test.ts",
];
const processes = "test/**/*.process.test.ts";

export default defineConfig({
  test: {
    // Vitest prints the seed of the order; `TEST_SEED` gives another one.
    sequence: { shuffle: { files: true }, seed: Number(process.env.TEST_SEED ?? 1) },
    // Vitest would leave a core free, and of two that is half of the time. Some tests wait, so it is one more than there are.
    maxWorkers: availableParallelism() + 1,
    ...everySuite,
    projects: [
      {
        extends: true,
        test: {
          name: "shared",
          include: ["test/**/*.test.ts"],
          exclude: [...configDefaults.exclude, processes, ...alone],
          isolate: false,
        },
      },
      { extends: true, test: { name: "alone", include: alone } },
    ],
  },
});
